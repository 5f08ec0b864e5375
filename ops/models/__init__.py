"""What operations remembers: reconciliation's reports, incidents and their alerts."""

from __future__ import annotations

from .incidents import Alert, Incident, IncidentEntry, QueueHeartbeat, RotaEntry, Severity
from .questions import OperatorQuestion
from .reconciliation import Checkpoint, CheckpointSum, ReconciliationResult, ReconciliationRun

__all__ = [
    "Alert",
    "Checkpoint",
    "CheckpointSum",
    "Incident",
    "IncidentEntry",
    "OperatorQuestion",
    "QueueHeartbeat",
    "ReconciliationResult",
    "ReconciliationRun",
    "RotaEntry",
    "Severity",
]
