"""What operations remembers: reconciliation's reports, incidents and their alerts."""

from __future__ import annotations

from .questions import OperatorQuestion
from .reconciliation import Checkpoint, CheckpointSum, ReconciliationResult, ReconciliationRun

__all__ = [
    "Checkpoint",
    "CheckpointSum",
    "OperatorQuestion",
    "ReconciliationResult",
    "ReconciliationRun",
]
