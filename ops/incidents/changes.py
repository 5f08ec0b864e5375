"""Changes that stand each for itself: one that fails keeps no other one waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import transaction

logger = logging.getLogger(__name__)


def failures_of(change: Callable[..., object], *arguments: object) -> list[Exception]:
    """Make a change in a database transaction of its own; return what it raised, if anything."""
    try:
        with transaction.atomic():
            change(*arguments)
    except Exception as failure:
        logger.exception("%s failed for %s", change.__name__, arguments[:1])
        return [failure]
    return []
