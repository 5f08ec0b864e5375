"""A run: one snapshot, one report, whole or not at all, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from advertmarket.actors import Actor
from advertmarket.celery import BEAT_DAILY, BEAT_SECONDS
from ops import tasks
from ops.checks import Check, CouldNotLook, Finding, Look, Severity
from ops.models import ReconciliationResult, ReconciliationRun
from ops.reconciliation import AnotherRun, is_in_progress, reconcile, run
from tests.payments.threads import elsewhere, together, unfinished

from .past import FEE_NANO, LEFT_NANO, PRICE_NANO, SHARE_NANO, SWEPT_NANO, live

pytestmark = [pytest.mark.usefixtures("committed_db"), pytest.mark.leaves_findings]

FULL, INCREMENTAL = ReconciliationRun.Kind.FULL, ReconciliationRun.Kind.INCREMENTAL
ACTOR = Actor.system("test")


def look(kind: ReconciliationRun.Kind = INCREMENTAL) -> ReconciliationRun:
    return reconcile(kind, asked_by=ACTOR, ask_chain=False)


def of(found: ReconciliationRun, name: str) -> ReconciliationResult:
    return found.results.get(name=name)


def break_a_balance(nano: int = 1) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE account_balances SET balance_nano = balance_nano + %s"
            " WHERE code = 'PLATFORM_TREASURY'",
            [nano],
        )


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """The checks that there are, for tests that bring their own."""
    mine: list[Check] = []
    monkeypatch.setattr(run, "all_checks", lambda *, full: mine)
    return mine


# --- the report -----------------------------------------------------------------------------------


def test_a_report_tells_of_every_check() -> None:
    live(2)

    report = look(FULL)

    assert (report.kind, report.asked_by, report.since_posting) == (FULL, "system:test", 0)
    assert (report.passed, report.error) == (True, "")
    assert report.started_at <= report.finished_at
    rows = report.results.order_by("number").values_list("number", "passed", "found", "error")
    assert list(rows) == [(number, True, 0, "") for number in range(1, 17)]
    moved_nano = 2 * (3 * PRICE_NANO + SHARE_NANO + 3 * SWEPT_NANO + 4 * FEE_NANO)
    assert of(report, "debits_equal_credits").figures == {
        "postings": 24,
        "debit_nano": moved_nano,
        "credit_nano": moved_nano,
    }
    assert of(report, "wallets_hold_what_the_books_say").figures == {
        "wallets": 3,
        "on_chain_nano": 2 * (LEFT_NANO + SWEPT_NANO - FEE_NANO),
        "in_the_books_nano": 2 * (LEFT_NANO + SWEPT_NANO - FEE_NANO),
    }
    assert all(result.figures for result in report.results.all())


def test_what_is_wrong_is_in_the_report() -> None:
    live(1)
    break_a_balance(7)

    report = look(FULL)

    assert report.passed is False
    result = of(report, "balances_are_sums_of_postings")
    assert (result.number, result.severity, result.passed, result.found) == (
        4,
        "CRITICAL",
        False,
        1,
    )
    assert result.rows == [["PLATFORM_TREASURY", "balance 9995000007, sum of postings 9995000000"]]
    assert report.results.filter(passed=True).count() == 15


def test_the_sql_of_every_check_can_be_asked_again() -> None:
    live(1)
    look()
    break_a_balance()

    report = look()

    assert report.since_posting > 0
    for result in report.results.all():
        assert result.sql, result.name
        with connection.cursor() as cursor:
            for query in result.sql.split(";\n\n"):
                cursor.execute(query.removesuffix(";"))
                assert cursor.description, result.name
    sql = of(report, "balances_are_sums_of_postings").sql
    assert "ledger_sums(0)" in sql
    with connection.cursor() as cursor:
        cursor.execute(sql.split(";\n\n")[1])
        assert cursor.fetchall() == [("PLATFORM_TREASURY", 9995000001, 9995000000)]


def test_the_first_hundred_findings_are_kept_and_all_are_counted(only: list[Check]) -> None:
    def many(look: Look) -> Iterator[Finding]:
        yield from (Finding(f"{number}", "wrong") for number in range(250))

    only.append(Check(77, Severity.HIGH, many))

    [result] = look().results.all()

    assert (result.found, len(result.rows)) == (250, 100)
    assert result.rows[-1] == ["99", "wrong"]


def test_a_check_that_breaks_down_did_not_pass_and_breaks_no_other(only: list[Check]) -> None:
    def breaks(look: Look) -> Iterator[Finding]:
        yield Finding("one", "found before it broke")
        look.rows("SELECT 1 / 0")

    def goes_on(look: Look) -> Iterator[Finding]:
        """Whether all is well."""
        yield from ()

    only += [Check(1, Severity.CRITICAL, breaks), Check(2, Severity.CRITICAL, goes_on)]

    report = look()

    assert report.passed is False
    first, second = report.results.order_by("number")
    assert (first.passed, first.found) == (False, 1)
    assert first.error == "broke down: DataError: division by zero"
    assert (second.passed, second.error) == (True, "")


def away() -> Any:
    raise CouldNotLook("the chain is away")


def test_what_could_not_be_looked_at_did_not_pass(only: list[Check]) -> None:
    def finds(look: Look) -> Iterator[Finding]:
        yield Finding("a wallet", "differs")
        raise CouldNotLook("another one moves")

    def nothing(look: Look) -> Iterator[Finding]:
        yield from ()

    only += [
        Check(1, Severity.CRITICAL, nothing, ask=away),
        Check(2, Severity.CRITICAL, nothing),
    ]

    report = look()

    assert report.passed is None
    assert [(result.passed, result.error) for result in report.results.order_by("number")] == [
        (None, "the chain is away"),
        (True, ""),
    ]

    only.append(Check(3, Severity.CRITICAL, finds))
    report = look()

    assert report.passed is False
    last = report.results.get(number=3)
    assert (last.passed, last.found, last.error) == (False, 1, "another one moves")


def test_a_check_asks_others_outside_the_database_transaction(only: list[Check]) -> None:
    def ask() -> str:
        assert not connection.in_atomic_block
        return "told"

    def listens(look: Look) -> Iterator[Finding]:
        yield Finding(look.told, "heard")

    only.append(Check(1, Severity.HIGH, listens, ask=ask))

    assert look().results.get().rows == [["told", "heard"]]


# --- one snapshot ---------------------------------------------------------------------------------


def test_all_checks_see_the_books_at_one_moment(only: list[Check]) -> None:
    live(1)

    def counts(look: Look) -> Iterator[Finding]:
        [(count,)] = look.rows("SELECT count(*) FROM ledger_postings")
        yield Finding("postings", f"{count}")
        elsewhere(lambda: live(1, first=count))

    only += [Check(number, Severity.HIGH, counts) for number in (1, 2)]

    report = look()

    assert [result.rows for result in report.results.all()] == [[["postings", "12"]]] * 2


# --- whole or not at all --------------------------------------------------------------------------


def test_a_run_whose_connection_is_cut_leaves_no_half_report(only: list[Check]) -> None:
    def passes(look: Look) -> Iterator[Finding]:
        yield from ()

    def dies(look: Look) -> Iterator[Finding]:
        [(pid,)] = look.rows("SELECT pg_backend_pid()")
        elsewhere(lambda: terminate(pid))
        look.rows("SELECT 1")
        yield from ()

    only += [Check(1, Severity.CRITICAL, passes), Check(2, Severity.CRITICAL, dies)]

    report = look()

    assert ReconciliationRun.objects.get() == report
    assert report.passed is False
    assert report.error
    assert not ReconciliationResult.objects.exists()
    only.pop()
    assert look().passed is True


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        assert cursor.fetchone() == (True,)


def test_nothing_is_stored_by_a_process_that_dies(only: list[Check]) -> None:
    class Killed(BaseException):
        pass

    def dies(look: Look) -> Iterator[Finding]:
        yield Finding("one", "wrong")
        raise Killed

    only.append(Check(1, Severity.CRITICAL, dies))

    with pytest.raises(Killed):
        look()

    assert not ReconciliationRun.objects.exists()
    only.pop()
    assert look().passed is True


# --- one at a time --------------------------------------------------------------------------------


def test_a_second_run_waits_for_the_first(only: list[Check]) -> None:
    running = []

    def alone(look: Look) -> Iterator[Finding]:
        running.append(1)
        assert len(running) == 1
        yield from ()
        running.pop()

    only.append(Check(1, Severity.HIGH, alone))

    both = together(look, look)

    assert [each.result().passed for each in both] == [True, True]


def test_that_one_goes_on_is_seen_from_elsewhere(only: list[Check]) -> None:
    seen: list[bool] = []

    def looked_at(look: Look) -> Iterator[Finding]:
        elsewhere(lambda: seen.append(is_in_progress()))
        yield from ()

    only.append(Check(1, Severity.HIGH, looked_at))
    assert not is_in_progress()

    look()

    assert seen == [True]
    assert not is_in_progress()


def test_a_run_that_waits_in_vain_says_so(only: list[Check]) -> None:
    with unfinished(lambda: lock(run._ONE_RUN_LOCK)):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")

        with pytest.raises(AnotherRun):
            look()
        with pytest.raises(CommandError, match=str(AnotherRun())):
            call_command("reconcile", "--incremental")

    assert not ReconciliationRun.objects.exists()


def lock(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


def test_it_runs_in_no_database_transaction_of_others() -> None:
    with transaction.atomic():
        report = look()
        assert "durable" in report.error
        transaction.set_rollback(True)


# --- the command ----------------------------------------------------------------------------------


def test_the_command_prints_a_line_a_check_and_one_a_finding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    live(1)
    call_command("reconcile", "--incremental")
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in printed] == [[f"{n}", "pass"] for n in range(1, 17)]
    assert printed[3] == " 4  pass  CRITICAL  balances_are_sums_of_postings"
    break_a_balance()

    with pytest.raises(SystemExit) as ended:
        call_command("reconcile", "--without-chain")

    assert ended.value.code == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[3:5] == [
        " 4  FAIL  CRITICAL  balances_are_sums_of_postings",
        "      PLATFORM_TREASURY: balance 9995000001, sum of postings 9995000000",
    ]
    assert list(ReconciliationRun.objects.order_by("id").values_list("kind", "asked_by")) == [
        ("INCREMENTAL", "system:terminal"),
        ("FULL", "system:terminal"),
    ]


def test_the_command_fails_if_something_was_not_looked_at(
    only: list[Check], capsys: pytest.CaptureFixture[str]
) -> None:
    def nothing(look: Look) -> Iterator[Finding]:
        yield from ()

    only.append(Check(15, Severity.CRITICAL, nothing, ask=away))

    with pytest.raises(SystemExit) as ended:
        call_command("reconcile")

    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "15  ----  CRITICAL  nothing",
        "      the chain is away",
    ]


# --- by itself ------------------------------------------------------------------------------------


def test_beat_has_what_is_new_checked_every_minute_and_everything_at_night() -> None:
    assert BEAT_SECONDS["ops.tasks.reconcile_newest"] == 60
    assert "ops.tasks.reconcile_everything" in BEAT_DAILY
    live(1)

    tasks.reconcile_newest()
    tasks.reconcile_newest()

    runs = ReconciliationRun.objects.order_by("id")
    assert list(runs.values_list("kind", "asked_by", "passed", "since_posting")) == [
        ("INCREMENTAL", "system:beat", True, 0),
        ("INCREMENTAL", "system:beat", True, 12),
    ]


def test_what_beat_finds_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    live(1)
    break_a_balance()

    tasks.reconcile_newest()

    assert "check 4 balances_are_sums_of_postings: 1 found, such as ['PLATFORM" in caplog.text


def test_beat_leaves_one_out_while_another_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    with unfinished(lambda: lock(run._ONE_RUN_LOCK)):
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")

        tasks.reconcile_newest()

    assert "this one (INCREMENTAL) is left out" in caplog.text
    assert not ReconciliationRun.objects.exists()
