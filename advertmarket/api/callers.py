"""Who asks, as far as the kernel cares."""

from __future__ import annotations

from typing import Protocol, cast

from rest_framework.request import Request


class Caller(Protocol):
    """A signed-in Telegram user."""

    pk: int
    language: str


def caller_of(request: Request) -> Caller | None:
    """Return who is signed in, or None."""
    return cast("Caller | None", request.user)
