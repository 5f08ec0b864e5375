"""What operations remembers: reconciliation's reports, incidents and their alerts."""

from __future__ import annotations

from .questions import OperatorQuestion

__all__ = ["OperatorQuestion"]
