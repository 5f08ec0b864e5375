"""Old reports go; what failed, and full runs, stay for long."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from ops import tasks
from ops.models import ReconciliationResult, ReconciliationRun

pytestmark = pytest.mark.django_db

FULL, INCREMENTAL = ReconciliationRun.Kind.FULL, ReconciliationRun.Kind.INCREMENTAL

KEPT = [
    (INCREMENTAL, True, "", 7),
    (INCREMENTAL, False, "", 90),
    (INCREMENTAL, None, "", 90),
    (INCREMENTAL, False, "it broke down", 90),
    (FULL, True, "", 365),
    (FULL, False, "", 365),
]


def ended(kind: str, passed: bool | None, error: str, ago: dt.timedelta) -> ReconciliationRun:
    at = timezone.now() - ago
    run = ReconciliationRun.objects.create(
        kind=kind, asked_by="x", started_at=at, finished_at=at, passed=passed, error=error
    )
    ReconciliationResult.objects.create(
        run=run, number=1, name="x", severity="HIGH", passed=True, duration_ms=1
    )
    return run


def test_each_kind_of_report_is_kept_for_its_time() -> None:
    minute = dt.timedelta(minutes=1)
    for kind, passed, error, days in KEPT:
        kept = dt.timedelta(days=days)
        young = ended(kind, passed, error, kept - minute)
        old = ended(kind, passed, error, kept + minute)

        tasks.forget_old_runs()

        assert set(ReconciliationRun.objects.values_list("pk", flat=True)) >= {young.pk}
        assert not ReconciliationRun.objects.filter(pk=old.pk).exists(), (kind, passed)
        assert not ReconciliationResult.objects.filter(run_id=old.pk).exists()
    assert ReconciliationRun.objects.count() == ReconciliationResult.objects.count() == len(KEPT)
