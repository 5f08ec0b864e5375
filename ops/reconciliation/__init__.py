"""Running the checks of the books on one snapshot, and keeping the report."""

from __future__ import annotations

from .run import AnotherRun, is_in_progress, reconcile

__all__ = ["AnotherRun", "is_in_progress", "reconcile"]
