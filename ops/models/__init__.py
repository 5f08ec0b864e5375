"""What operations remembers: reconciliation's reports, incidents and their alerts."""

from __future__ import annotations

from .incidents import Alert, Incident, IncidentEntry, QueueHeartbeat, RotaEntry, Severity
from .questions import OperatorQuestion

__all__ = [
    "Alert",
    "Incident",
    "IncidentEntry",
    "OperatorQuestion",
    "QueueHeartbeat",
    "RotaEntry",
    "Severity",
]
