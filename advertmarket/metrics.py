"""Counting what a database transaction did, once it is committed.

Names and units are those of https://prometheus.io/docs/practices/naming/: seconds, TON, `_total`.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from prometheus_client import Counter, Histogram


def count(counter: Counter, *labels: str) -> None:
    """Count one more under these labels, unless the caller's database transaction rolls back."""
    transaction.on_commit(counter.labels(*labels).inc, robust=True)


def observe(histogram: Histogram, took: timedelta) -> None:
    """Note how long something took, unless the caller's database transaction rolls back."""

    def note() -> None:  # no partial: of one that raises Django logs the name, which it has not
        histogram.observe(took.total_seconds())

    transaction.on_commit(note, robust=True)
