"""The one place where a deal's status changes: under its lock, with history and event."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from advertmarket import correlation
from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.messaging.outbox import publish
from advertmarket.metrics import count

from . import events
from .lifecycle import (
    DEADLINE_S,
    GRACE_S,
    OVER,
    Action,
    IllegalTransition,
    Role,
    Status,
    Transition,
    lines_of,
)
from .metrics import TRANSITIONS
from .models import Deal, DealEvent, Hold
from .permissions import DealNotFound, NotAllowed, check_visible, roles_of

logger = logging.getLogger(__name__)

_ENDINGS = frozenset({Action.CANCEL, Action.REJECT, Action.AGREE_TO_CANCEL})
"""What a person may still do after the deadline."""


class DeadlinePassed(DomainError):
    """The time for this is over."""

    code: ClassVar[Code] = Code.DEAL_DEADLINE_EXPIRED
    message = _("The time for this was over at {deadline_at}.")
    public_facts = ("deadline_at",)


class OnHold(DomainError):
    """The deal waits for an operator."""

    message = _("This deal is on hold until an operator has looked at it ({hold_reason}).")
    public_facts = ("hold_reason",)


@dataclass(frozen=True)
class Moved:
    """The locked deal after a move; not `is_new`: it had been made before, nothing changed."""

    deal: Deal
    source: Status
    is_new: bool


def scaled(seconds: float) -> timedelta:
    """Return a time of the business at this installation's scale."""
    return timedelta(seconds=seconds * settings.DEADLINE_SCALE)


@requires_transaction
def lock(deal_id: UUID) -> Deal:
    """Return the deal, locked until the database transaction ends.

    Raises:
        DealNotFound: there is none.
    """
    deal = Deal.objects.select_for_update(no_key=True).filter(id=deal_id).first()
    if deal is None:
        raise DealNotFound
    return deal


def is_overdue(deal: Deal, at: datetime) -> bool:
    """Return whether the deal's deadline, and the grace after it, have passed."""
    return deal.deadline_at is not None and at > deal.deadline_at + scaled(GRACE_S)


@requires_transaction
def lease_due(*, status: Status, owner: UUID, lease: timedelta, at: datetime) -> Deal | None:
    """Lease the deal in `status` whose next step is due longest; nobody else takes it meanwhile."""
    deal = (
        Deal.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(status=status, due_at__lte=at, held_at=None)
        .filter(Q(leased_until=None) | Q(leased_until__lt=at))
        .order_by("due_at")
        .first()
    )
    if deal is not None:
        deal.lease_owner, deal.leased_until = owner, at + lease
        deal.save(update_fields=["lease_owner", "leased_until"])
    return deal


@requires_transaction
def postpone(*, deal: Deal, waiting_for: str, due_at: datetime) -> None:
    """Have the next step of a locked deal tried again at `due_at`, and say what it waits for."""
    deal.waiting_for, deal.due_at = waiting_for[:300], due_at
    deal.lease_owner = deal.leased_until = None
    deal.save(update_fields=["waiting_for", "due_at", "lease_owner", "leased_until"])


@requires_transaction
def move(
    *,
    deal_id: UUID,
    action: Action,
    actor: Actor,
    at: datetime,
    guard: Callable[[Deal], None] | None = None,
    reason: str = "",
    **changes: object,
) -> Moved:
    """Take `action` on the deal: the only writer of `deals.status`. An operator's ends a hold.

    `guard` may refuse by a domain error of its own; `changes` are columns that change with the
    status. Asked for what has just been done, it changes nothing.

    Raises:
        DealNotFound: the actor has no part in it.
        NotAllowed: the action is for another role.
        IllegalTransition: the present status does not allow it.
        DeadlinePassed, OnHold: it is too late, or an operator must look first.
    """
    deal = lock(deal_id)
    source = Status(deal.status)
    line = _find_line(deal, action, actor)
    if line is None:
        return Moved(deal, source, is_new=False)
    _check_time(deal, action, actor, at)
    if deal.held_at is not None and line.role is not Role.OPERATOR:
        raise OnHold(hold_reason=deal.hold_reason)
    if guard is not None:
        guard(deal)
    _write(deal, line, changes, at)
    _record(deal, action, source, actor=actor, reason=reason, at=at)
    _tell(deal, line.event, source, actor=actor, at=at)
    return Moved(deal, source, is_new=True)


@requires_transaction
def hold(*, deal: Deal, reason: Hold, note: str, actor: Actor, at: datetime) -> None:
    """Stop a locked deal until an operator has looked; history and an event say why, once."""
    if deal.held_at is not None:
        return
    note = note[:500]
    deal.held_at, deal.hold_reason, deal.hold_note = at, reason, note
    deal.version += 1
    deal.lease_owner = deal.leased_until = None
    deal.save()
    text = f"{reason}: {note}".rstrip(": ")
    status = Status(deal.status)
    _record(deal, DealEvent.HOLD, status, actor=actor, reason=text, at=at)
    _tell(deal, events.DealHeld, status, actor=actor, at=at, reason=reason)
    logger.error("deal %s waits for an operator: %s", deal.id, text)


def _find_line(deal: Deal, action: Action, actor: Actor) -> Transition | None:
    """Return the line that applies; None if the deal was brought where it is by this action."""
    check_visible(actor, deal)
    lines, roles = lines_of(action), roles_of(actor, deal)
    if not any(line.role in roles for line in lines):
        raise NotAllowed
    here = [line for line in lines if line.source == deal.status]
    for line in here:
        if line.role in roles:
            return line
    if here:
        raise NotAllowed
    if _is_done(deal, action, lines):
        return None
    raise IllegalTransition(Status(deal.status), action)


def _is_done(deal: Deal, action: Action, lines: Sequence[Transition]) -> bool:
    history = DealEvent.objects.filter(deal=deal).exclude(action=DealEvent.HOLD)
    if lines[0].role == Role.SYSTEM:  # the same fact, heard again later
        return history.filter(action=action).exists()
    if deal.status not in {line.target for line in lines}:
        return False
    latest = history.order_by("-version").first()
    return deal.status in OVER or (latest is not None and latest.action == action)


def _check_time(deal: Deal, action: Action, actor: Actor, at: datetime) -> None:
    if is_overdue(deal, at) and actor.kind == "user" and action not in _ENDINGS:
        raise DeadlinePassed(deadline_at=deal.deadline_at)


def _write(deal: Deal, line: Transition, changes: dict[str, object], at: datetime) -> None:
    deal.version += 1
    deal.due_at = deal.lease_owner = deal.leased_until = None
    deal.waiting_for = deal.cancel_asked_by = ""
    deal.held_at, deal.hold_reason, deal.hold_note = None, "", ""
    for name, value in changes.items():
        setattr(deal, name, value)
    if line.target != line.source:
        deal.status, deal.status_since_at = line.target, at
        deal.deadline_at = _deadline(deal, line.target, at)
    deal.save()


def _deadline(deal: Deal, target: Status, at: datetime) -> datetime | None:
    if target not in DEADLINE_S:
        return None
    counted_from = {
        Status.SCHEDULED: deal.publish_at,
        Status.DELIVERY_VERIFYING: deal.retention_ends_at,
    }.get(target, at)
    assert counted_from is not None  # by the table's CHECKs
    return counted_from + scaled(DEADLINE_S[target])


def _record(
    deal: Deal, action: str, source: Status, *, actor: Actor, reason: str, at: datetime
) -> None:
    DealEvent.objects.create(
        deal=deal,
        version=deal.version,
        action=action,
        from_status=source,
        to_status=deal.status,
        actor=str(actor),
        reason=reason,
        correlation_id=correlation.current(),
        at=at,
    )
    count(TRANSITIONS, action, source, deal.status)


def _tell(
    deal: Deal,
    event_class: type[events.DealEvent],
    source: Status,
    *,
    actor: Actor,
    at: datetime,
    **more: str,
) -> None:
    event = event_class(
        deal_id=deal.id,
        from_status=source,
        to_status=deal.status,
        deal_version=deal.version,
        actor=str(actor),
        advertiser_id=deal.advertiser_id,
        owner_id=deal.owner_id,
        channel_id=deal.channel_id,
        price_nano=deal.price_nano,
        **more,
    )
    publish(event, key=f"deal:{deal.id}:{deal.version}", at=at)
