"""What people do about an incident. Every function wants the caller's database transaction."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from accounts.selectors import OperatorView, get_operator, operator_named
from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from ops.models import Incident, IncidentEntry

from . import history
from .causes import moment
from .rota import NoSuchPerson

What = IncidentEntry.What

STILL_THERE = dt.timedelta(seconds=30)
"""A cause that was seen so lately has not gone: the watch looks every few seconds."""


class NoSuchIncident(DomainError):
    """There is no incident of this number."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("There is no incident {number}.")


class NotAnOperator(DomainError):
    """Only an active operator answers for an incident."""

    code: ClassVar[Code] = Code.AUTH_INSUFFICIENT_PERMISSIONS
    message = _("Only operators can do this.")


class AlreadyAcknowledged(DomainError):
    """Somebody answers for it."""

    message = _("{who} acknowledged incident {number} at {moment}.")


class AlreadyResolved(DomainError):
    """It is over."""

    message = _("Incident {number} was resolved at {moment}.")


class NoteMissing(DomainError):
    """Whoever resolves an incident says what it was."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("Say in a note what it was and what you did.")


class StillThere(DomainError):
    """Its cause holds: resolving it would say what is not true, and the next look would undo it."""

    message = _(
        "The cause of incident {number} is still there, seen at {moment}. Acknowledge it, and "
        "resolve it once it is gone."
    )


@requires_transaction
def acknowledge(*, incident_id: int, actor: Actor, at: dt.datetime) -> Incident:
    """Answer for an incident: nobody else is told of it again. Return it.

    Raises:
        NoSuchIncident, NotAnOperator, AlreadyAcknowledged, AlreadyResolved: nothing has changed.
    """
    operator = _operator(actor)
    incident = _lock(incident_id)
    if incident.acknowledged_by is not None and incident.acknowledged_at is not None:
        raise AlreadyAcknowledged(
            who=incident.acknowledged_by.get_username(),
            number=incident.pk,
            moment=moment(incident.acknowledged_at),
        )
    incident.acknowledged_at, incident.acknowledged_by_id = at, operator.id
    if incident.assignee_id is None:
        incident.assignee_id = operator.id
    incident.save(update_fields=["acknowledged_at", "acknowledged_by", "assignee"])
    _write_down(incident, What.ACKNOWLEDGED, actor=actor, at=at)
    return incident


@requires_transaction
def assign(*, incident_id: int, username: str, actor: Actor, at: dt.datetime) -> Incident:
    """Make an operator the one who works on it; return it. It is not acknowledged by that.

    Raises:
        NoSuchIncident, NotAnOperator, NoSuchPerson, AlreadyResolved: nothing has changed.
    """
    _operator(actor)
    assignee = operator_named(username)
    if assignee is None:
        raise NoSuchPerson(username=username)
    incident = _lock(incident_id)
    incident.assignee_id = assignee.id
    incident.save(update_fields=["assignee"])
    _write_down(incident, What.ASSIGNED, actor=actor, at=at, text=username)
    return incident


@requires_transaction
def resolve(*, incident_id: int, note: str, actor: Actor, at: dt.datetime) -> Incident:
    """Close an incident whose cause is gone, with what it was; return it.

    Raises:
        NoteMissing, StillThere, NoSuchIncident, NotAnOperator, AlreadyResolved: nothing has
            changed.
    """
    operator = _operator(actor)
    if not note.strip():
        raise NoteMissing
    incident = _lock(incident_id)
    if at - incident.last_seen_at < STILL_THERE:
        raise StillThere(number=incident.pk, moment=moment(incident.last_seen_at))
    incident.resolved_at, incident.resolved_by_id, incident.note = at, operator.id, note.strip()
    incident.pause_asked_at = None
    incident.save(update_fields=["resolved_at", "resolved_by", "note", "pause_asked_at"])
    _write_down(incident, What.RESOLVED, actor=actor, at=at, text=incident.note)
    return incident


def _operator(actor: Actor) -> OperatorView:
    operator = get_operator(int(actor.id)) if actor.kind == "operator" else None
    if operator is None:
        raise NotAnOperator
    return operator


def _lock(incident_id: int) -> Incident:
    incident = (
        Incident.objects.select_for_update(no_key=True, of=("self",))
        .select_related("acknowledged_by")
        .filter(pk=incident_id)
        .first()
    )
    if incident is None:
        raise NoSuchIncident(number=incident_id)
    if incident.resolved_at is not None:
        raise AlreadyResolved(number=incident_id, moment=moment(incident.resolved_at))
    return incident


def _write_down(
    incident: Incident, what: What, *, actor: Actor, at: dt.datetime, text: str = ""
) -> None:
    history.note(incident, what, at=at, actor=actor, text=text)
    audit.record(
        actor=actor,
        action=f"incident.{what.lower()}",
        object_type="incident",
        object_id=str(incident.pk),
        before=None,
        after={"cause": incident.cause, "severity": incident.severity},
        reason=text,
        at=at,
    )
