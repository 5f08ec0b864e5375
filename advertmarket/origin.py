"""The IP address that the present request came from, for the audit log."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

_current: ContextVar[str | None] = ContextVar("origin", default=None)


def current() -> str | None:
    """Return the address, or nothing: this is no request, or it has none."""
    return _current.get()


@contextmanager
def bind(address: str | None) -> Iterator[None]:
    """Let what is done within the block come from this address."""
    token = _current.set(address)
    try:
        yield
    finally:
        _current.reset(token)


def of(request: HttpRequest) -> str | None:
    """Return where a request came from, as TRUSTED_PROXIES proxies say; what is none is nothing."""
    told = BaseThrottle().get_ident(Request(request)) or ""
    try:
        return str(ipaddress.ip_address(told.partition("%")[0]))  # without the zone of a link
    except ValueError:
        return None
