"""What happened to an incident, kept for good."""

from __future__ import annotations

import datetime as dt

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from ops.models import Incident, IncidentEntry

What = IncidentEntry.What

WATCH = Actor.system("watch")


def times(incident: Incident, what: What) -> int:
    """Return how often this has happened to an incident: a number that never comes again."""
    return incident.history.filter(what=what).count()


@requires_transaction
def note(
    incident: Incident, what: What, *, at: dt.datetime, actor: Actor = WATCH, text: str = ""
) -> None:
    """Add a line to an incident's history, with the figures of that moment."""
    IncidentEntry.objects.create(
        incident=incident,
        what=what,
        at=at,
        actor=str(actor),
        note=text,
        facts=incident.facts,
    )
