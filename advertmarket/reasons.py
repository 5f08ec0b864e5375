"""Whoever stops or moves money says why."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from .errors import Code, DomainError

LONGEST = 500
"""As many characters of a reason are kept."""


class ReasonMissing(DomainError):
    """Whatever is done about money says why."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("Say why.")


def stated(reason: str) -> str:
    """Return a reason as it is kept.

    Raises:
        ReasonMissing: it says nothing.
    """
    if not (kept := reason.strip()[:LONGEST]):
        raise ReasonMissing
    return kept
