"""Reports that can no longer matter go; what failed, and full runs, are kept for long."""

from __future__ import annotations

import datetime as dt

from django.db.models import Q, QuerySet

from ops.models import ReconciliationRun

PASSED_KEPT = dt.timedelta(days=7)
"""Incremental runs that passed: there are 1,440 a day."""

FAILED_KEPT = dt.timedelta(days=90)
"""Incremental runs that found something, could not look, or broke down."""

FULL_KEPT = dt.timedelta(days=365)

_CHUNK = 500

_Kind = ReconciliationRun.Kind


def delete_old_runs(*, at: dt.datetime) -> None:
    """Delete the runs whose time is over, with their results."""
    incremental = ReconciliationRun.objects.filter(kind=_Kind.INCREMENTAL)
    _delete(incremental.filter(passed=True), before=at - PASSED_KEPT)
    _delete(incremental.filter(~Q(passed=True)), before=at - FAILED_KEPT)
    _delete(ReconciliationRun.objects.filter(kind=_Kind.FULL), before=at - FULL_KEPT)


def _delete(runs: QuerySet[ReconciliationRun], *, before: dt.datetime) -> None:
    """Delete in short database transactions, so that nobody waits for long."""
    old = runs.filter(finished_at__lt=before).order_by("pk").values_list("pk", flat=True)
    while ids := list(old[:_CHUNK]):
        ReconciliationRun.objects.filter(pk__in=ids).delete()
