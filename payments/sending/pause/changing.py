"""Changing the pause, and writing down what others changed.

Who paused, when and why stands in PostgreSQL. A pause holds from its commit on, and the flag
follows; a resume counts once the flag is gone, after its commit. So whoever dies in between leaves
payouts paused. What was changed in Redis by hand is noticed by `watch_pause` and written down;
Redis hears of that after the commit, too, so that it never knows of a change that there is not.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable
from typing import ClassVar

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError

from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import hold_name, requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.reasons import stated
from advertmarket.state import redis_state
from payments.models import PauseChange, PauseEpoch

from .reading import (
    EPOCH_KEY,
    HEARD_KEY,
    PAUSE_KEY,
    UNREADABLE,
    Found,
    epoch_problem,
    is_unheard_pause,
    last_change,
    look,
    mark,
    name_of,
    what_flag_says,
)

logger = logging.getLogger(__name__)

WATCHER = Actor.system("pause-watch")
_NAME = "the pause of payouts"
_ON_ITS_WAY = dt.timedelta(seconds=10)
"""For so long a resume may be between its commit and Redis."""

_FLAG_LENGTH = 700

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


@requires_transaction
def hold() -> None:
    """Wait for the others who change the pause; nobody but us does until the transaction ends."""
    hold_name(_NAME)


@requires_transaction
def pause(*, actor: Actor, reason: str, at: dt.datetime) -> None:
    """Stop every broadcast of money from the commit on, whether or not Redis can be reached.

    Raises:
        ReasonMissing: nobody would know why.
    """
    why = stated(reason)
    hold()
    try:
        _note_outside(look(), at)
    except UNREADABLE as away:
        logger.warning("paused without a look into Redis: %s", away)
    flag = f"{at:%Y-%m-%d %H:%M:%S} UTC, {name_of(str(actor))}: {why}"[:_FLAG_LENGTH]
    change = _keep(actor, why, at, paused=True, flag=flag)
    _after_commit(lambda: _set_flag(change))


@requires_transaction
def resume(
    *,
    actor: Actor,
    reason: str,
    at: dt.datetime,
    seen: int | None = None,
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
    hold()
    try:
        found, flag = look(), what_flag_says()
        last = _note_outside(found, at, patience=_ON_ITS_WAY)
    except UNREADABLE as away:
        raise PauseNotReadable from away
    if problem := epoch_problem(PauseEpoch.objects.first(), found):
        raise EpochDoesNotStand(problem=problem)
    if last is None or not last.paused:
        raise NotPaused
    if seen not in (None, last.pk):
        raise PausedAnew
    change = _keep(actor, why, at, paused=False)
    _after_commit(lambda: _delete_flag(change, flag))


def watch_pause(at: dt.datetime) -> None:
    """Write down what was changed in Redis by hand, and tell Redis of a pause it has not heard of.

    Called every few seconds; what a caller rolls back is found the next time. With Redis away it
    does nothing: payouts are paused.
    """
    try:
        with transaction.atomic():
            hold()
            found, last = look(), last_change()
            if last is not None and is_unheard_pause(last, found):
                _set_flag(last)
            else:
                _note_outside(found, at, patience=_ON_ITS_WAY)
    except UNREADABLE as away:
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


def _set_flag(change: PauseChange) -> None:
    redis_state().mset({PAUSE_KEY: change.flag, HEARD_KEY: mark(change)})


def _delete_flag(change: PauseChange, flag: str) -> None:
    if not redis_state().eval(_LIFT, 2, PAUSE_KEY, HEARD_KEY, flag, mark(change)):
        logger.warning("%s was set anew while payouts were being resumed: it stays", PAUSE_KEY)


def _after_commit(tell_redis: Callable[[], object]) -> None:
    def tell() -> None:
        try:
            tell_redis()
        except RedisError as away:  # payouts are paused then: the watcher goes on from here
            logger.warning("Redis was not told of the pause: %s", away)

    transaction.on_commit(tell)


def _note_outside(
    found: Found, at: dt.datetime, *, patience: dt.timedelta = dt.timedelta(0)
) -> PauseChange | None:
    """Write down a change that was made in Redis by hand; return the last change there is.

    A resume that is younger than `patience` may still be on its way to Redis.
    """
    last = last_change()
    paused = last is not None and last.paused
    if is_unheard_pause(last, found) or (not found.is_set and not paused):
        return last
    if not found.is_set:
        return _note(f"{PAUSE_KEY} was deleted in Redis", at, paused=False)
    flag = what_flag_says().replace("\0", "\\0")[:_FLAG_LENGTH]
    if last is not None and paused and last.flag == flag:
        return last
    if last is not None and not paused and not found.has_heard_of(last):
        if at - last.at < patience:
            return last
        return _note("the resume did not reach Redis", at, paused=True, flag=flag)
    return _note(f"{PAUSE_KEY} was set to “{flag[:100]}” in Redis", at, paused=True, flag=flag)


def _note(reason: str, at: dt.datetime, *, paused: bool, flag: str = "") -> PauseChange:
    change = _keep(WATCHER, reason, at, paused=paused, flag=flag, outside=True)
    _after_commit(lambda: redis_state().set(HEARD_KEY, mark(change)))
    return change


def _keep(
    actor: Actor,
    reason: str,
    at: dt.datetime,
    *,
    paused: bool,
    flag: str = "",
    outside: bool = False,
) -> PauseChange:
    before = last_change()
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
        at=at,
    )
    logger.warning("payouts %s by %s: %s", "paused" if paused else "resumed", actor, reason)
    return change
