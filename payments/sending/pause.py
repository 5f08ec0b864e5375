"""The switch that stops every broadcast of money, read before each signature and each broadcast.

Fail closed: `system:pause_payouts` with any value means paused; so does a Redis that cannot be
read, and one that lost its memory (its `system:epoch` is not the one in PostgreSQL).
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import ClassVar

from django.db import transaction
from django.utils.translation import gettext_lazy as _
from redis.exceptions import RedisError

from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.state import redis_state
from payments.models import PauseEpoch

PAUSE_KEY = "system:pause_payouts"
EPOCH_KEY = "system:epoch"


class SecondOperatorNeeded(DomainError):
    """What concerns a restored database is decided by two operators."""

    code: ClassVar[Code] = Code.AUTH_INSUFFICIENT_PERMISSIONS
    message = _("The database was restored from a backup: this takes two different operators.")


class PayoutsPaused(DomainError):
    """No money leaves until an operator lifts the pause or confirms the epoch."""

    code: ClassVar[Code] = Code.PAYOUTS_PAUSED
    message = _("Payouts are paused: {reason}.")
    retry_after_s = 60


def refuse_if_paused() -> None:
    """Return if money may leave now.

    Raises:
        PayoutsPaused: it may not, and why.
    """
    if reason := pause_reason():
        raise PayoutsPaused(reason=reason)


def pause_reason() -> str:
    """Return why payouts are paused, or nothing."""
    try:
        flag, epoch = redis_state().mget(PAUSE_KEY, EPOCH_KEY)
    except RedisError as error:
        return f"Redis cannot be read ({type(error).__name__})"
    if flag is not None:
        return f"{PAUSE_KEY} is set"
    confirmed = PauseEpoch.objects.first()
    if confirmed is None:
        return "no epoch is confirmed yet: run manage.py confirm_epoch"
    if confirmed.needs_second:
        return "the database was restored: two operators run manage.py confirm_epoch"
    if _text(epoch) != str(confirmed.epoch):
        return "Redis lost its memory: run manage.py confirm_epoch"
    return ""


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


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
