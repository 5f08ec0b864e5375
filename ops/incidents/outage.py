"""What is told when PostgreSQL is away and no row can be written: from memory, every 5 minutes.

A watch that stands by sees it too. Whoever claims it in Redis tells people; if Redis is away as
well each of them does: better twice than never.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable, Sequence

from django.db import transaction
from redis.exceptions import RedisError

from advertmarket.state import redis_state
from ops.beside import Beside

from . import alerts, text
from .alerts import Channel, Recipient
from .causes import Cause, fit_to_show
from .channels import NotDelivered, hook, mail, telegram
from .clocks import REPEAT_AFTER
from .follow import open_past
from .kinds import KINDS, RESPONSE

logger = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]

HOLD = dt.timedelta(seconds=30)
"""A restart of PostgreSQL takes seconds, and wakes nobody."""

TRY_AGAIN_AFTER = dt.timedelta(seconds=15)
_CLAIM_FOR = REPEAT_AFTER - dt.timedelta(seconds=10)
_KIND = KINDS["database_down"]


class Outage:
    """Knows whom to tell, since when PostgreSQL is away, and who has been told of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._levels: Sequence[Sequence[Recipient]] = ()
        self._since: dt.datetime | None = None
        self._error = ""
        self._is_told = False
        self._tell_at: dict[Recipient, dt.datetime] = {}
        self._lanes: Beside[Recipient, None] = Beside()

    def remember(self, levels: Sequence[Sequence[Recipient]]) -> None:
        """Know from now on whom to tell: those of the first level at once, then of each next."""
        self._levels = levels

    def away(self, error: str) -> None:
        """PostgreSQL does not answer: tell people, if it has been so for long enough."""
        now = self._clock()
        self._error = str(fit_to_show(error))
        self._since = self._since or now
        logger.error("PostgreSQL is away since %s: %s", self._since, self._error)
        if now - self._since < HOLD:
            return
        for recipient in self._recipients(now - self._since):
            if now >= self._tell_at.get(recipient, now):
                self._tell_at[recipient] = now + REPEAT_AFTER
                self._lanes.start(recipient, functools.partial(self._tell, recipient, self._since))

    def keep(self) -> None:
        """PostgreSQL is back: write down an outage of which people heard, as an incident."""
        if self._is_told:
            cause = Cause("database_down", facts={"error": self._error}, since=self._since)
            with transaction.atomic():
                open_past(cause, "memory", self._clock())
        self._since, self._is_told = None, False
        self._tell_at.clear()

    def wait(self, *, limit_s: float) -> bool:
        """Wait for what is being sent; return whether all of it has ended."""
        return self._lanes.wait(limit_s=limit_s)

    def _recipients(self, lasts: dt.timedelta) -> Sequence[Recipient]:
        if not self._levels:  # PostgreSQL has not answered since this process began
            return alerts.shared_recipients()
        level = int(lasts / RESPONSE[_KIND.severity])
        return self._levels[min(level, len(self._levels) - 1)]

    def _tell(self, recipient: Recipient, since: dt.datetime) -> None:
        claim = f"watch:database_down:{recipient.channel}:{recipient.name}"
        if not _claim(claim):
            return
        try:
            _send(recipient, self._error, since=since, at=self._clock())
        except NotDelivered as failure:
            logger.warning("not told that PostgreSQL is away: %s", failure)
            _give_up(claim)
            self._tell_at[recipient] = self._clock() + TRY_AGAIN_AFTER
        else:
            self._is_told = True


def _send(recipient: Recipient, error: str, *, since: dt.datetime, at: dt.datetime) -> None:
    wording = text.say_from_memory(
        _KIND,
        {"error": error},
        language=recipient.language,
        every=REPEAT_AFTER,
        since=since,
        at=at,
    )
    if recipient.channel == Channel.TELEGRAM:
        telegram.deliver(recipient.chat_id, wording.html, buttons=(), silent=False)
    elif recipient.channel == Channel.HOOK:
        hook.deliver(_payload(wording, error, since=since, at=at))
    else:
        message_id = f"<outage-{at:%Y%m%d%H%M%S}@advertmarket>"
        mail.deliver(recipient.name, wording.headline, wording.plain, message_id=message_id)


def _payload(
    wording: text.Wording, error: str, *, since: dt.datetime, at: dt.datetime
) -> dict[str, object]:
    return {
        "id": f"outage-{since:%Y%m%d%H%M%S}",
        "severity": _KIND.severity,
        "kind": _KIND.name,
        "cause": _KIND.name,
        "facts": {"error": error},
        "since": since.isoformat(),
        "runbook": text.runbook_link(_KIND),
        "title": wording.headline,
        "text": wording.plain,
        "sentAt": at.isoformat(),
    }


def _claim(name: str) -> bool:
    """Whether no other watch tells this recipient just now."""
    try:
        return bool(redis_state().set(name, 1, nx=True, px=_CLAIM_FOR))
    except RedisError as away:
        logger.warning("told without a claim, Redis is away: %s", away)
        return True


def _give_up(name: str) -> None:
    try:
        redis_state().delete(name)
    except RedisError as away:
        logger.warning("a claim stays until it expires: %s", away)
