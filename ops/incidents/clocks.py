"""What is rung for while nobody answers: P0 every five minutes, everything when its clock is over.

At the end of its clock an incident is escalated to one person of the rota more, and the earlier
ones hear of it too; at the rota's end everybody hears again, each time the clock is over. A grave
one does not wait for its clock where the person whose turn it is cannot be told.
"""

from __future__ import annotations

import datetime as dt
import logging

from django.db.models import Q

from ops.models import Alert, Incident, IncidentEntry, Severity

from . import alerts, rota
from .changes import failures_of
from .follow import open_incidents
from .history import note, times
from .kinds import RESPONSE

logger = logging.getLogger(__name__)

REPEAT_AFTER = dt.timedelta(minutes=5)
"""Of P0 alone."""

Reason, What = Alert.Reason, IncidentEntry.What


def ring(*, at: dt.datetime) -> list[Exception]:
    """Write the alerts of what was not acknowledged in time; return why what was not written."""
    is_over = Q(respond_by__lte=at)
    is_repeated = Q(severity=Severity.P0, told_at__lte=at - REPEAT_AFTER)
    is_grave = Q(severity__in=[Severity.P0, Severity.P1], acknowledged_at=None)
    due = open_incidents().filter(is_over | is_repeated | is_grave).values_list("pk", flat=True)
    return [failure for pk in due for failure in failures_of(_ring_for, pk, at)]


def _ring_for(pk: int, at: dt.datetime) -> None:
    incident = open_incidents().select_for_update(no_key=True).filter(pk=pk).first()
    if incident is None or incident.is_quiet:
        return
    if incident.respond_by <= at or (incident.is_grave and _nobody_was_added(incident)):
        _escalate(incident, at)
    elif incident.severity == Severity.P0 and incident.told_at <= at - REPEAT_AFTER:
        _repeat(incident, at)


def _nobody_was_added(incident: Incident) -> bool:
    """Whether the last person who is to be told cannot be, and there is another one."""
    told, next_too = (rota.people(level=incident.level + more) for more in (0, 1))
    return len(told) < len(next_too) and alerts.is_unreachable(told[-1], incident)


def _escalate(incident: Incident, at: dt.datetime) -> None:
    incident.level += 1
    incident.respond_by = at + RESPONSE[Severity(incident.severity)]
    incident.told_at = at
    incident.save(update_fields=["level", "respond_by", "told_at"])
    note(incident, What.ESCALATED, at=at, text=str(incident.level))
    number = times(incident, What.ESCALATED)
    alerts.write(incident, Reason.ESCALATED, number=number, at=at)
    logger.warning("incident %s is not acknowledged, level %s", incident.pk, incident.level)


def _repeat(incident: Incident, at: dt.datetime) -> None:
    incident.repeats += 1
    incident.told_at = at
    incident.save(update_fields=["repeats", "told_at"])
    note(incident, What.REPEATED, at=at)
    alerts.write(incident, Reason.REPEATED, number=incident.repeats, at=at)
