"""Whether payouts are paused, and why: what is asked before each signature and each broadcast.

Fail closed: `system:pause_payouts` with any value means paused; so does a Redis that cannot be
read, one that lost its memory (its `system:epoch` is not the one in PostgreSQL), and one that has
not heard of the last pause yet (`system:pause_heard`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from redis.exceptions import RedisError, ResponseError

from accounts.selectors import get_operator
from advertmarket.errors import Code, DomainError
from advertmarket.state import redis_state
from payments.models import PauseChange, PauseEpoch

PAUSE_KEY = "system:pause_payouts"
EPOCH_KEY = "system:epoch"
HEARD_KEY = "system:pause_heard"
"""Which change of the pause Redis was told of last."""

UNREADABLE = (RedisError, UnicodeDecodeError)
"""What a look into Redis raises where there is none, or no text."""


class PayoutsPaused(DomainError):
    """No money leaves until an operator lifts the pause or confirms the epoch."""

    code: ClassVar[Code] = Code.PAYOUTS_PAUSED
    message = gettext_lazy("Payouts are paused: {reason}.")
    retry_after_s = 60


@dataclass(frozen=True)
class PauseState:
    """All that keeps payouts paused (nothing if they run), and the last change of the pause.

    The reasons are in the language that was active. `epoch_problem`: the one of them for which
    Redis is not trusted, if there is one; with `redis_is_away` nobody can tell. `takes_two`: the
    platform paused by itself, so that two operators resume.
    """

    reasons: tuple[str, ...]
    epoch_problem: str
    redis_is_away: bool
    number: int
    by: str
    why: str
    at: dt.datetime | None
    takes_two: bool

    @property
    def paused(self) -> bool:
        """Whether no money leaves."""
        return bool(self.reasons)


@dataclass(frozen=True)
class _Hindrances:
    """What keeps payouts paused at this moment, as `PauseState` has it."""

    reasons: tuple[str, ...]
    epoch_problem: str = ""
    redis_is_away: bool = False


@dataclass(frozen=True)
class Found:
    """What Redis holds: whether the flag is set, the epoch, and the change it was told of last."""

    is_set: bool
    epoch: object
    heard: object

    def has_heard_of(self, change: PauseChange) -> bool:
        """Whether Redis was told of this change, and of none after it."""
        return _text(self.heard) == mark(change)


def refuse_if_paused() -> None:
    """Return if money may leave now.

    Raises:
        PayoutsPaused: it may not, and why.
    """
    if reason := pause_reason():
        raise PayoutsPaused(reason=reason)


def pause_reason() -> str:
    """Return why payouts are paused, in the active language, or nothing."""
    return next(iter(_hindrances().reasons), "")


def pause_state() -> PauseState:
    """Return whether payouts are paused, with who changed that last, when and why."""
    last, now = last_change(), _hindrances()
    return PauseState(
        reasons=now.reasons,
        epoch_problem=now.epoch_problem,
        redis_is_away=now.redis_is_away,
        number=last.pk if last else 0,
        by=name_of(last.actor) if last else "",
        why=last.reason if last else "",
        at=last.at if last else None,
        takes_two=takes_two(),
    )


def takes_two() -> bool:
    """Return whether the platform paused by itself since payouts were resumed last."""
    resumed = PauseChange.objects.filter(paused=False).order_by("-pk").first()
    since = PauseChange.objects.filter(paused=True, outside=False, actor__startswith="system:")
    return since.filter(pk__gt=resumed.pk if resumed else 0).exists()


def _hindrances() -> _Hindrances:
    """All that keeps payouts paused, what an operator must see to first before the rest.

    Redis is asked last: a flag that is set while PostgreSQL keeps us waiting counts.
    """
    last, confirmed = last_change(), PauseEpoch.objects.first()
    try:
        found = look()
    except UNREADABLE as error:
        reason = _("Redis cannot be read ({error})").format(error=type(error).__name__)
        return _Hindrances((reason,), redis_is_away=True)
    unheard = is_unheard_pause(last, found)
    problem = epoch_problem(confirmed, found)
    reasons = (
        _("{flag} is set").format(flag=PAUSE_KEY) if found.is_set else "",
        problem,
        _("{flag} is about to be set").format(flag=PAUSE_KEY)
        if unheard and not found.is_set
        else "",
    )
    return _Hindrances(tuple(filter(None, reasons)), epoch_problem=problem)


# --- what Redis holds -----------------------------------------------------------------------------


def look() -> Found:
    """Return what Redis holds; raises one of `UNREADABLE`."""
    with redis_state().pipeline(transaction=False) as asked:
        asked.exists(PAUSE_KEY)
        asked.mget(EPOCH_KEY, HEARD_KEY)
        is_set, (epoch, heard) = asked.execute()
    return Found(bool(is_set), epoch, heard)


def what_flag_says() -> str:
    """Return what the flag is set to; people may have put anything there."""
    try:
        return _text(redis_state().get(PAUSE_KEY) or "")
    except (ResponseError, UnicodeDecodeError):
        return "(no text)"


def epoch_problem(confirmed: PauseEpoch | None, found: Found) -> str:
    """Return why Redis is not trusted with the pause, in the active language, or nothing."""
    if confirmed is None:
        return _("no epoch is confirmed yet: run manage.py confirm_epoch")
    if confirmed.needs_second:
        return _("the database was restored: two operators run manage.py confirm_epoch")
    if _text(found.epoch) != str(confirmed.epoch):
        return _("Redis lost its memory: run manage.py confirm_epoch")
    return ""


# --- what PostgreSQL remembers --------------------------------------------------------------------


def last_change() -> PauseChange | None:
    """Return the last change of the pause, if there was one."""
    return PauseChange.objects.order_by("-pk").first()


def mark(change: PauseChange) -> str:
    """Return what Redis keeps of a change; after a restore the same number is another one's."""
    return f"{change.pk} {change.at.isoformat()}"


def is_unheard_pause(last: PauseChange | None, found: Found) -> bool:
    """Whether the pause holds by PostgreSQL's word alone: Redis does not know of it yet."""
    return last is not None and last.paused and not found.has_heard_of(last)


def name_of(actor: str) -> str:
    """Return an operator's username, and anybody else as stored."""
    kind, _, name = actor.partition(":")
    operator = get_operator(int(name)) if kind == "operator" else None
    return operator.username if operator else actor


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
