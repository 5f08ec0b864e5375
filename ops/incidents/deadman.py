"""The dead man's switch: an outside service hears of us every minute, and raises the alarm if not.

Nobody here can tell that this host is dead, or that nobody hears its alarms.
"""

from __future__ import annotations

import datetime as dt
import logging

import httpx
from django.conf import settings
from django.db.models import Exists, OuterRef

from ops.beside import Beside
from ops.models import Alert, IncidentEntry, Severity

from .follow import open_incidents

logger = logging.getLogger(__name__)

EVERY = dt.timedelta(seconds=60)
LIMIT_S = 10.0
UNHEARD_AFTER = dt.timedelta(minutes=5)
"""An alarm that has reached nobody for so long is one that the outside has to raise."""

_BEGINS = [IncidentEntry.What.OPENED, IncidentEntry.What.BACK, IncidentEntry.What.MORE]


class Switch:
    """Asks for DEADMAN_URL once a minute, if it is set."""

    def __init__(self) -> None:
        self._asked_at: dt.datetime | None = None
        self._call: Beside[str, None] = Beside()

    def hold(self, *, at: dt.datetime) -> None:
        """Let the outside know that a whole turn has succeeded; returns at once."""
        if not settings.DEADMAN_URL:
            return
        if self._asked_at is None or at - self._asked_at >= EVERY:
            self._asked_at = at
            self._call.start("dead man's switch", _ask)

    def wait(self, *, limit_s: float) -> bool:
        """Wait for the call; return whether it has ended."""
        return self._call.wait(limit_s=limit_s)


def somebody_hears(*, at: dt.datetime) -> bool:
    """Return whether every grave alarm that nobody has answered has reached somebody.

    One that is back, or has grown, is another alarm: that the last one was heard says nothing.
    """
    grave = open_incidents().filter(severity__in=[Severity.P0, Severity.P1], acknowledged_at=None)
    told_since = Alert.objects.filter(
        incident=OuterRef("incident"), state=Alert.State.SENT, sent_at__gte=OuterRef("at")
    )
    unheard = IncidentEntry.objects.filter(
        ~Exists(told_since), incident__in=grave, what__in=_BEGINS, at__lt=at - UNHEARD_AFTER
    )
    return not unheard.exists()


def _ask() -> None:
    try:
        httpx.get(settings.DEADMAN_URL, timeout=LIMIT_S, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        logger.warning("the dead man's switch was not reached: %s", type(error).__name__)
