"""The switch that stops every broadcast of money, read before each signature and each broadcast.

Fail closed: `system:pause_payouts` with any value means paused; so does a Redis that cannot be
read, one that lost its memory (its `system:epoch` is not the one in PostgreSQL), and one that has
not heard of the last pause yet (`system:pause_heard`).

Who paused, when and why stands in PostgreSQL. A pause holds from its commit on, and the flag
follows; a resume counts once the flag is gone, after its commit. So whoever dies in between leaves
payouts paused. What was changed in Redis by hand is noticed by `watch_pause` and written down.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError, ResponseError

from accounts.selectors import get_operator
from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import hold_name, requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.reasons import stated
from advertmarket.state import redis_state
from payments.models import PauseChange, PauseEpoch

logger = logging.getLogger(__name__)

PAUSE_KEY = "system:pause_payouts"
EPOCH_KEY = "system:epoch"
HEARD_KEY = "system:pause_heard"
"""Which change of the pause Redis was told of last."""

WATCHER = Actor.system("pause-watch")
_NAME = "the pause of payouts"
_ON_ITS_WAY = dt.timedelta(seconds=10)
"""For so long a resume may be between its commit and Redis."""

_FLAG_LENGTH = 700
_UNREADABLE = (RedisError, UnicodeDecodeError)

_LIFT = """
local flag = redis.call('GET', KEYS[1])
if flag and flag ~= ARGV[1] then
    return 0
end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[2])
return 1
"""
"""Deletes the flag that the operator saw; one that was set since stays."""


class SecondOperatorNeeded(DomainError):
    """What concerns a restored database is decided by two operators."""

    code: ClassVar[Code] = Code.AUTH_INSUFFICIENT_PERMISSIONS
    message = _("The database was restored from a backup: this takes two different operators.")


class PayoutsPaused(DomainError):
    """No money leaves until an operator lifts the pause or confirms the epoch."""

    code: ClassVar[Code] = Code.PAYOUTS_PAUSED
    message = _("Payouts are paused: {reason}.")
    retry_after_s = 60


class PauseNotReadable(DomainError):
    """Redis is away, so that nobody knows what would be lifted; payouts are paused meanwhile."""

    code: ClassVar[Code] = Code.SERVICE_UNAVAILABLE
    message = _("Redis cannot be read, so nothing was changed: payouts stay paused.")
    retry_after_s = 5


class EpochDoesNotStand(DomainError):
    """Lifting the pause would change nothing: Redis is not trusted with it."""

    message = _("Payouts cannot be resumed yet: {problem}.")


class NotPaused(DomainError):
    """There is no pause to lift."""

    message = _("Payouts are not paused.")


class PausedAnew(DomainError):
    """The pause that the operator saw is not the one that holds now."""

    message = _("The pause has changed since you looked: look again.")


@dataclass(frozen=True)
class PauseState:
    """All that keeps payouts paused (nothing if they run), and the last change of the pause.

    `takes_two`: the platform paused by itself, so that two operators resume.
    """

    reasons: tuple[str, ...]
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
class _Found:
    """What Redis holds: whether the flag is set, the epoch, and the change it was told of last."""

    is_set: bool
    epoch: object
    heard: object


def refuse_if_paused() -> None:
    """Return if money may leave now.

    Raises:
        PayoutsPaused: it may not, and why.
    """
    if reason := pause_reason():
        raise PayoutsPaused(reason=reason)


def pause_reason() -> str:
    """Return why payouts are paused, or nothing."""
    return next(iter(_reasons()), "")


def pause_state() -> PauseState:
    """Return whether payouts are paused, with who changed that last, when and why."""
    last = _last()
    return PauseState(
        reasons=tuple(_reasons()),
        number=last.pk if last else 0,
        by=_name_of(last.actor) if last else "",
        why=last.reason if last else "",
        at=last.at if last else None,
        takes_two=takes_two(),
    )


def takes_two() -> bool:
    """Return whether the platform paused by itself since payouts were resumed last."""
    resumed = PauseChange.objects.filter(paused=False).order_by("-pk").first()
    since = PauseChange.objects.filter(paused=True, outside=False, actor__startswith="system:")
    return since.filter(pk__gt=resumed.pk if resumed else 0).exists()


@requires_transaction
def pause(*, actor: Actor, reason: str, at: dt.datetime, ip_address: str | None = None) -> None:
    """Stop every broadcast of money from the commit on, whether or not Redis can be reached.

    Raises:
        ReasonMissing: nobody would know why.
    """
    why = stated(reason)
    hold_name(_NAME)
    try:
        _note_outside(_look(), at)
    except _UNREADABLE as away:
        logger.warning("paused without a look into Redis: %s", away)
    flag = f"{at:%Y-%m-%d %H:%M:%S} UTC, {_name_of(str(actor))}: {why}"[:_FLAG_LENGTH]
    change = _keep(actor, why, at, paused=True, flag=flag, ip_address=ip_address)
    _after_commit(lambda: _set_flag(change))


@requires_transaction
def resume(
    *,
    actor: Actor,
    reason: str,
    at: dt.datetime,
    seen: int | None = None,
    ip_address: str | None = None,
) -> None:
    """Lift the pause (the one with the number `seen`, if told): the flag goes after the commit.

    A flag that is set anew meanwhile stays. Ask `pause_reason` afterwards: if Redis went away just
    then, payouts are paused still.

    Raises:
        ReasonMissing: nobody would know why.
        PauseNotReadable: Redis is away; nothing was changed.
        EpochDoesNotStand: the epoch must be confirmed first.
        NotPaused, PausedAnew: there is no such pause, or another resume is on its way to Redis
            (if it never arrives, `watch_pause` says so after 10 s, and one may ask again).
    """
    why = stated(reason)
    hold_name(_NAME)
    try:
        found, flag = _look(), _flag()
        last = _note_outside(found, at, patience=_ON_ITS_WAY)
    except _UNREADABLE as away:
        raise PauseNotReadable from away
    if problem := _epoch_problem(PauseEpoch.objects.first(), found):
        raise EpochDoesNotStand(problem=problem)
    if last is None or not last.paused:
        raise NotPaused
    if seen not in (None, last.pk):
        raise PausedAnew
    change = _keep(actor, why, at, paused=False, ip_address=ip_address)
    _after_commit(lambda: _delete_flag(change, flag))


def watch_pause(at: dt.datetime) -> None:
    """Write down what was changed in Redis by hand, and tell Redis of a pause it has not heard of.

    Called every few seconds. With Redis away it does nothing: payouts are paused.
    """
    try:
        with transaction.atomic():
            hold_name(_NAME)
            found, last = _look(), _last()
            if last is not None and _is_unheard_pause(last, found):
                _set_flag(last)
            else:
                _note_outside(found, at, patience=_ON_ITS_WAY)
    except _UNREADABLE as away:
        logger.warning("the pause cannot be watched: %s", away)


@requires_transaction
def confirm_epoch(
    *, actor: Actor, reason: str, at: dt.datetime, second: Actor | None = None
) -> uuid.UUID:
    """Make a new epoch and, once this is committed, write it to Redis: payouts may run again.

    A set pause flag stays set. Dying between the two leaves payouts paused.

    Raises:
        SecondOperatorNeeded: the database was restored, and two operators do not agree yet.
    """
    before = PauseEpoch.objects.select_for_update(no_key=True).first()
    if before is not None and before.needs_second:
        require_two(actor, second)
    epoch = uuid.uuid4()
    PauseEpoch.objects.update_or_create(
        id=1,
        defaults={
            "epoch": epoch,
            "needs_second": False,
            "confirmed_by": f"{actor}, {second}" if second else str(actor),
            "confirmed_at": at,
        },
    )
    audit.record(
        actor=actor,
        action="payouts.epoch_confirmed",
        object_type="pause_epoch",
        object_id="1",
        before={"epoch": str(before.epoch)} if before else None,
        after={"epoch": str(epoch)} | ({"second": str(second)} if second else {}),
        reason=reason,
        at=at,
    )
    transaction.on_commit(lambda: redis_state().set(EPOCH_KEY, str(epoch)))
    return epoch


def require_two(first: Actor, second: Actor | None) -> None:
    """Return if these are two operators.

    Raises:
        SecondOperatorNeeded: they are not.
    """
    if second is None or first == second or {first.kind, second.kind} != {"operator"}:
        raise SecondOperatorNeeded


def _reasons() -> list[str]:
    """All that keeps payouts paused, what an operator must see to first before the rest.

    Redis is asked last: a flag that is set while PostgreSQL keeps us waiting counts.
    """
    last, confirmed = _last(), PauseEpoch.objects.first()
    try:
        found = _look()
    except _UNREADABLE as error:
        return [f"Redis cannot be read ({type(error).__name__})"]
    unheard = _is_unheard_pause(last, found)
    reasons = [
        f"{PAUSE_KEY} is set" if found.is_set else "",
        _epoch_problem(confirmed, found),
        f"{PAUSE_KEY} is about to be set" if unheard and not found.is_set else "",
    ]
    return [reason for reason in reasons if reason]


# --- what Redis holds -----------------------------------------------------------------------------


def _look() -> _Found:
    with redis_state().pipeline(transaction=False) as asked:
        asked.exists(PAUSE_KEY)
        asked.mget(EPOCH_KEY, HEARD_KEY)
        is_set, (epoch, heard) = asked.execute()
    return _Found(bool(is_set), epoch, heard)


def _flag() -> str:
    """What the flag holds; people may have put anything there."""
    try:
        return _text(redis_state().get(PAUSE_KEY) or "")
    except (ResponseError, UnicodeDecodeError):
        return "(no text)"


def _set_flag(change: PauseChange) -> None:
    redis_state().mset({PAUSE_KEY: change.flag, HEARD_KEY: _mark(change)})


def _delete_flag(change: PauseChange, flag: str) -> None:
    if not redis_state().eval(_LIFT, 2, PAUSE_KEY, HEARD_KEY, flag, _mark(change)):
        logger.warning("%s was set anew while payouts were being resumed: it stays", PAUSE_KEY)


def _after_commit(tell_redis: Callable[[], None]) -> None:
    def tell() -> None:
        try:
            tell_redis()
        except RedisError as away:  # payouts are paused then: the watcher goes on from here
            logger.warning("Redis was not told of the pause: %s", away)

    transaction.on_commit(tell)


def _epoch_problem(confirmed: PauseEpoch | None, found: _Found) -> str:
    if confirmed is None:
        return "no epoch is confirmed yet: run manage.py confirm_epoch"
    if confirmed.needs_second:
        return "the database was restored: two operators run manage.py confirm_epoch"
    if _text(found.epoch) != str(confirmed.epoch):
        return "Redis lost its memory: run manage.py confirm_epoch"
    return ""


# --- what PostgreSQL remembers --------------------------------------------------------------------


def _last() -> PauseChange | None:
    return PauseChange.objects.order_by("-pk").first()


def _mark(change: PauseChange) -> str:
    """What Redis keeps of a change; after a restore the same number is another one's."""
    return f"{change.pk} {change.at.isoformat()}"


def _is_unheard_pause(last: PauseChange | None, found: _Found) -> bool:
    return last is not None and last.paused and _text(found.heard) != _mark(last)


def _note_outside(
    found: _Found, at: dt.datetime, *, patience: dt.timedelta = dt.timedelta(0)
) -> PauseChange | None:
    """Write down a change that was made in Redis by hand; return the last change there is.

    A resume that is younger than `patience` may still be on its way to Redis.
    """
    last = _last()
    paused = last is not None and last.paused
    if _is_unheard_pause(last, found) or (not found.is_set and not paused):
        return last
    if not found.is_set:
        return _note(f"{PAUSE_KEY} was deleted in Redis", at, paused=False)
    flag = _flag().replace("\0", "\\0")[:_FLAG_LENGTH]
    if last is not None and paused and last.flag == flag:
        return last
    if last is not None and not paused and _text(found.heard) != _mark(last):
        if at - last.at < patience:
            return last
        return _note("the resume did not reach Redis", at, paused=True, flag=flag)
    return _note(f"{PAUSE_KEY} was set to “{flag[:100]}” in Redis", at, paused=True, flag=flag)


def _note(reason: str, at: dt.datetime, *, paused: bool, flag: str = "") -> PauseChange:
    change = _keep(WATCHER, reason, at, paused=paused, flag=flag, outside=True)
    redis_state().set(HEARD_KEY, _mark(change))
    return change


def _keep(
    actor: Actor,
    reason: str,
    at: dt.datetime,
    *,
    paused: bool,
    flag: str = "",
    outside: bool = False,
    ip_address: str | None = None,
) -> PauseChange:
    before = _last()
    change = PauseChange.objects.create(
        paused=paused, outside=outside, actor=str(actor), reason=reason, flag=flag, at=at
    )
    audit.record(
        actor=actor,
        action=f"payouts.{'paused' if paused else 'resumed'}{'_outside' if outside else ''}",
        object_type="payment_pause",
        object_id=str(change.pk),
        before={"paused": before is not None and before.paused},
        after={"paused": paused},
        reason=reason,
        ip_address=ip_address,
        at=at,
    )
    logger.warning("payouts %s by %s: %s", "paused" if paused else "resumed", actor, reason)
    return change


def _name_of(actor: str) -> str:
    kind, _, name = actor.partition(":")
    operator = get_operator(int(name)) if kind == "operator" else None
    return operator.username if operator else actor


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
