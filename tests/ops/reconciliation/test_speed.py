"""With a million postings behind, a run every minute is cheap, and a full one at night possible."""

from __future__ import annotations

import sys
import time

import pytest
from django.db import connection

from advertmarket.actors import Actor
from ops.models import ReconciliationRun
from ops.reconciliation import reconcile

from .past import POSTINGS_A_DEAL, live

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

DEALS = 1_000_000 // POSTINGS_A_DEAL
AT_ONCE = 10_000
IN_A_MINUTE = 25


def took_s(kind: ReconciliationRun.Kind) -> float:
    began = time.monotonic()
    run = reconcile(kind, asked_by=Actor.system("test"), ask_chain=False)
    took = time.monotonic() - began
    assert run.passed, list(run.results.exclude(passed=True).values_list("name", "error", "rows"))
    each = run.results.order_by("number").values_list("number", "duration_ms")
    sys.stderr.write(f"{kind} since {run.since_posting}: {took:.2f} s {dict(each)}\n")
    return took


def vacuum() -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


@pytest.mark.usefixtures("committed_db")
@pytest.mark.leaves_findings
def test_an_incremental_run_takes_a_small_part_of_a_full_one() -> None:
    for first in range(1, DEALS + 1, AT_ONCE):
        live(min(AT_ONCE, DEALS + 1 - first), first=first)
    vacuum()
    full = [took_s(ReconciliationRun.Kind.FULL)]
    vacuum()
    incremental = []
    for minute in range(3):
        live(IN_A_MINUTE, first=DEALS + 1 + minute * IN_A_MINUTE)
        incremental.append(took_s(ReconciliationRun.Kind.INCREMENTAL))
    full.append(took_s(ReconciliationRun.Kind.FULL))

    assert sorted(incremental)[1] < min(full) / 8
