"""What one detector sees now, and whether people can be told of it in both languages."""

from __future__ import annotations

from django.utils import translation

from ops.incidents.causes import Cause
from ops.incidents.detectors import all_detectors


def seen(detector: str) -> list[Cause]:
    """Return what a detector of the product sees."""
    [found] = [list(one.look()) for one in all_detectors() if one.name == detector]
    for cause in found:
        for language in ("en", "ru"):
            with translation.override(language):
                say(cause)
    return found


def say(cause: Cause) -> str:
    """Put a cause into words; a placeholder without its fact is a KeyError."""
    texts = (cause.kind.title, cause.kind.figures)
    return "\n".join(str(text).format_map(cause.shown()) for text in texts)


def names(causes: list[Cause]) -> list[str]:
    """What makes each of them one cause."""
    return [cause.id for cause in causes]
