"""Payouts are paused once for an incident that calls for it; what an operator resumed stays so."""

from __future__ import annotations

import datetime as dt

from django.utils import translation

from advertmarket.audit.models import AuditEntry
from ops.models import Alert, Incident, IncidentEntry
from payments.sending import pause

from .changes import failures_of
from .follow import open_incidents
from .history import WATCH, note
from .text import title_of

What = IncidentEntry.What

_RESUMED = "payouts.resumed"
"""What the audit log calls it, whether in the product or in Redis by hand."""


def pause_what_asks(*, at: dt.datetime) -> list[Exception]:
    """Pause payouts for every incident that asks for it; return why what could not be done.

    What fails is tried again at the next turn.
    """
    asking = open_incidents().exclude(pause_asked_at=None).values_list("pk", flat=True)
    return [failure for pk in asking for failure in failures_of(_pause_for, pk, at)]


def _pause_for(pk: int, at: dt.datetime) -> None:
    incident = open_incidents().select_for_update(no_key=True).filter(pk=pk).first()
    if incident is None or incident.pause_asked_at is None:
        return
    if _resumed_since_told(incident, incident.pause_asked_at):
        note(incident, What.NOT_PAUSED, at=at)
    else:
        with translation.override("en"):
            reason = f"incident {incident.pk}: {title_of(incident)}"
        pause.pause(actor=WATCH, reason=reason, at=at)
        note(incident, What.PAUSED, at=at)
    incident.pause_asked_at = None
    incident.save(update_fields=["pause_asked_at"])


def _resumed_since_told(incident: Incident, asked_at: dt.datetime) -> bool:
    """Whether an operator has resumed payouts since people were told of what asks for the pause.

    Who resumed them before did not know of it.
    """
    told = incident.alerts.filter(state=Alert.State.SENT, sent_at__gte=asked_at)
    first = told.order_by("sent_at").first()
    return (
        first is not None
        and AuditEntry.objects.filter(action__startswith=_RESUMED, at__gt=first.sent_at).exists()
    )
