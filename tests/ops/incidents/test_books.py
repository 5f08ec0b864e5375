"""What reconciliation's reports wake people for, and that there are reports at all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from advertmarket.audit import sealer
from advertmarket.audit import services as audit
from ops import questions
from ops.checks import Check, Finding, Look, Severity
from ops.models import ReconciliationResult, ReconciliationRun
from ops.reconciliation import run as reconciliation
from tests.database import Clone
from tests.ops.incidents.conftest import ACTOR
from tests.ops.incidents.seeing import names, seen
from tests.payments.threads import unfinished

INCREMENTAL, FULL = ReconciliationRun.Kind.INCREMENTAL, ReconciliationRun.Kind.FULL
RESERVES = {"number": 15, "name": "wallets_hold_what_the_books_say", "severity": "CRITICAL"}
FEES = {"number": 7, "name": "fees_are_what_the_chain_took", "severity": "HIGH"}
SWEEPS = {"number": 12, "name": "commission_is_swept_in_a_week", "severity": "MEDIUM"}
ESCROWS = {"number": 3, "name": "escrows_hold_what_they_say", "severity": "HIGH"}
CHAIN = {"number": 15, "name": "wallets_hold_the_same_on_chain", "severity": "CRITICAL"}
FOUND = {"passed": False, "found": 2, "rows": [["wallet 7", "chain 5, books 4"], ["x", "y"]]}
BROKE_DOWN = {"passed": False, "error": "broke down: KeyError"}
NOT_ASKED = {"passed": None, "error": "TON Center does not answer"}


def run(
    kind: ReconciliationRun.Kind = INCREMENTAL,
    *failing: dict[str, Any],
    ago: dt.timedelta = dt.timedelta(0),
    error: str = "",
    ask_chain: bool = True,
) -> ReconciliationRun:
    """A stored report: each check of it passed, unless `failing` has another word on one.

    An incremental one takes from the checkpoint what 15 and 7 look at, and asks no chain.
    """
    at = timezone.now() - ago
    stored = ReconciliationRun.objects.create(
        kind=kind,
        asked_by="test",
        started_at=at,
        finished_at=at,
        passed=not failing and not error,
        error=error,
    )
    said = {one["name"]: one for one in failing}
    checks = [RESERVES, FEES, SWEEPS, ESCROWS, *([CHAIN] if kind == FULL and ask_chain else [])]
    for check in checks if not error else ():
        since = 12 if kind == INCREMENTAL and check in (RESERVES, FEES) else 0
        words: dict[str, Any] = {"passed": True, "duration_ms": 1, "since": since}
        words |= check | said.get(str(check["name"]), {})
        ReconciliationResult.objects.create(run=stored, **words)
    return stored


@pytest.mark.django_db
def test_books_that_are_right_wake_nobody() -> None:
    run(FULL)
    run()
    assert seen("books_are_right") == []


@pytest.mark.django_db
def test_a_critical_check_that_fails() -> None:
    stored = run(INCREMENTAL, RESERVES | FOUND)

    [cause] = seen("books_are_right")

    assert cause.id == "check_critical:wallets_hold_what_the_books_say"
    assert (cause.kind.severity, cause.kind.pauses) == ("P0", True)
    assert cause.facts == {
        "number": 15,
        "check": "wallets_hold_what_the_books_say",
        "found": 2,
        "finding": "wallet 7: chain 5, books 4",
    }
    assert cause.since == stored.finished_at
    assert (list(cause.subjects), cause.found) == (["wallet 7", "x"], 2)


@pytest.mark.django_db
def test_a_high_check_pauses_nothing_and_a_medium_one_wakes_nobody() -> None:
    run(INCREMENTAL, FEES | FOUND, SWEEPS | FOUND)

    [cause] = seen("books_are_right")

    assert cause.id == "check_high:fees_are_what_the_chain_took"
    assert (cause.kind.severity, cause.kind.pauses) == ("P1", False)


@pytest.mark.django_db
def test_a_check_that_broke_down_has_not_passed_and_pauses_nothing_however_often() -> None:
    for _ in range(2):
        run(INCREMENTAL, RESERVES | BROKE_DOWN)

        [cause] = seen("books_are_right")
        assert (cause.kind.name, cause.kind.pauses) == ("reconciliation_broken", False)
        assert cause.facts == {"error": "check 15: broke down: KeyError"}


@pytest.mark.django_db
def test_what_a_check_found_before_it_broke_down_is_a_finding() -> None:
    run(INCREMENTAL, RESERVES | BROKE_DOWN | FOUND)

    assert names(seen("books_are_right")) == ["check_critical:wallets_hold_what_the_books_say"]


@pytest.mark.django_db
def test_a_check_that_breaks_down_takes_nothing_back() -> None:
    run(INCREMENTAL, RESERVES | FOUND)
    run(INCREMENTAL, RESERVES | BROKE_DOWN)

    assert names(seen("books_are_right")) == ["check_critical:wallets_hold_what_the_books_say"]


def test_a_query_that_runs_into_a_timeout_pauses_no_payouts(
    committed_db: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def debits_equal_credits(look: Look) -> Iterator[Finding]:
        look.rows("SET LOCAL statement_timeout = '50ms'; SELECT pg_sleep(1)")
        yield from ()

    check = Check(1, Severity.CRITICAL, debits_equal_credits)
    monkeypatch.setattr(reconciliation, "all_checks", lambda *, full: [check])

    report = reconciliation.reconcile(INCREMENTAL, asked_by=ACTOR)

    assert report.results.get().error.startswith("broke down: OperationalError")
    [cause] = seen("books_are_right")
    assert (cause.id, cause.kind.pauses) == ("reconciliation_broken:debits_equal_credits", False)


@pytest.mark.django_db
def test_a_check_that_could_not_look_is_not_one_that_failed() -> None:
    run(FULL, RESERVES | NOT_ASKED)

    [cause] = seen("books_are_right")
    assert cause.kind.name == "reconciliation_broken"
    assert cause.facts == {"error": "check 15: TON Center does not answer"}


@pytest.mark.django_db
def test_what_the_next_run_does_not_find_is_gone() -> None:
    run(INCREMENTAL, RESERVES | FOUND)
    run()
    assert seen("books_are_right") == []


@pytest.mark.django_db
def test_what_a_full_run_found_only_a_full_run_takes_back() -> None:
    """An incremental one does not look behind the checkpoint."""
    run(FULL, RESERVES | FOUND)
    run()
    assert names(seen("books_are_right")) == ["check_critical:wallets_hold_what_the_books_say"]

    run(FULL)
    run()
    assert seen("books_are_right") == []


@pytest.mark.django_db
def test_what_a_full_run_found_is_over_once_a_run_looks_as_far_and_passes() -> None:
    """Check 3 takes nothing from the checkpoint: each minute's look is a whole one."""
    run(FULL, ESCROWS | FOUND)
    assert names(seen("books_are_right")) == ["check_high:escrows_hold_what_they_say"]

    run()
    assert seen("books_are_right") == []


@pytest.mark.django_db
def test_a_pass_from_a_later_beginning_takes_nothing_back() -> None:
    run(INCREMENTAL, RESERVES | FOUND | {"since": 5})
    run()
    assert names(seen("books_are_right")) == ["check_critical:wallets_hold_what_the_books_say"]

    run(INCREMENTAL, RESERVES | {"since": 5})
    assert seen("books_are_right") == []


@pytest.mark.django_db
def test_what_the_chain_said_only_a_run_that_asks_it_takes_back() -> None:
    run(FULL, CHAIN | FOUND)
    run(FULL, ask_chain=False)
    run()
    assert names(seen("books_are_right")) == ["check_critical:wallets_hold_the_same_on_chain"]

    run(FULL)
    assert seen("books_are_right") == []


def test_reconcile_in_the_bot_takes_back_nothing_that_the_chain_said(committed_db: Clone) -> None:
    run(FULL, CHAIN | FOUND)

    questions._reconciliation(1)

    assert ReconciliationRun.objects.latest("id").passed

    assert names(seen("books_are_right")) == ["check_critical:wallets_hold_the_same_on_chain"]


@pytest.mark.django_db
def test_what_both_found_is_one_cause() -> None:
    run(FULL, RESERVES | NOT_ASKED)
    run(INCREMENTAL, RESERVES | FOUND)

    assert names(seen("books_are_right")) == ["check_critical:wallets_hold_what_the_books_say"]


@pytest.mark.django_db
def test_a_run_that_broke_off_takes_nothing_back() -> None:
    run(INCREMENTAL, RESERVES | FOUND)
    run(error="OperationalError: no room")

    assert names(seen("books_are_right")) == ["check_critical:wallets_hold_what_the_books_say"]
    [cause] = [one for one in seen("reconciliation_runs") if "broken" in one.id]
    assert cause.facts == {"error": "OperationalError: no room"}


@pytest.mark.django_db
def test_a_full_run_that_broke_off_is_made_good_by_another_full_one() -> None:
    run(FULL, error="OperationalError: no room")
    run()
    run(FULL, ask_chain=False)

    [cause] = [one for one in seen("reconciliation_runs") if "broken" in one.id]
    assert cause.facts == {"error": "OperationalError: no room"}

    run(FULL)
    assert seen("reconciliation_runs") == []


@pytest.mark.django_db
def test_a_full_run_that_breaks_off_every_night_is_late() -> None:
    run(FULL, ago=dt.timedelta(days=9))
    for days in range(8):
        run(FULL, ago=dt.timedelta(days=days, hours=1), error="OperationalError: no room")
    run()

    assert names(seen("reconciliation_runs")) == [
        "reconciliation_broken",
        "full_reconciliation_late",
    ]


@pytest.mark.django_db
def test_reconciliation_that_does_not_run() -> None:
    assert names(seen("reconciliation_runs")) == ["reconciliation_late"]

    run(FULL, ago=dt.timedelta(minutes=6))
    assert names(seen("reconciliation_runs")) == ["reconciliation_late"]

    run(ago=dt.timedelta(minutes=4))
    assert seen("reconciliation_runs") == []


def test_a_run_that_goes_on_may_hold_up_the_others_for_half_an_hour(committed_db: Clone) -> None:
    run(FULL, ago=dt.timedelta(minutes=29))
    with unfinished(one_goes_on):
        assert seen("reconciliation_runs") == []

        ReconciliationRun.objects.all().delete()
        run(FULL, ago=dt.timedelta(minutes=31))
        [cause] = seen("reconciliation_runs")
    assert (cause.id, cause.facts["minutes"]) == ("reconciliation_late", 30)

    [cause] = seen("reconciliation_runs")
    assert (cause.id, cause.facts["minutes"]) == ("reconciliation_late", 5)


def one_goes_on() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [reconciliation._ONE_RUN_LOCK])


@pytest.mark.django_db
def test_full_reconciliation_that_does_not_run() -> None:
    run(ago=dt.timedelta(hours=25))
    run()
    assert seen("reconciliation_runs") == []

    ReconciliationRun.objects.all().delete()
    run(ago=dt.timedelta(hours=27))
    run()
    assert names(seen("reconciliation_runs")) == ["full_reconciliation_late"]

    run(FULL, ask_chain=False)
    assert names(seen("reconciliation_runs")) == ["full_reconciliation_late"]

    run(FULL)
    assert seen("reconciliation_runs") == []


def test_an_audit_log_that_is_not_sealed(committed_db: Clone) -> None:
    def write(at: dt.datetime) -> None:
        with transaction.atomic():
            audit.record(
                actor=ACTOR,
                action="test",
                object_type="test",
                object_id="1",
                before=None,
                after=None,
                at=at,
            )

    write(timezone.now() - dt.timedelta(minutes=4))
    assert seen("audit_log_is_sealed") == []
    write(timezone.now() - dt.timedelta(minutes=6))
    [cause] = seen("audit_log_is_sealed")
    assert (cause.id, cause.facts["count"]) == ("seal_late", 1)

    sealer.seal(at=timezone.now())

    assert seen("audit_log_is_sealed") == []
