"""Where an incremental run begins: behind that posting nothing is still to come.

What came since is found as a full run finds it; what was changed behind it, by a full run alone.
"""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from advertmarket.actors import Actor
from advertmarket.audit import sealer
from ops.models import Checkpoint, CheckpointSum, ReconciliationRun
from ops.reconciliation import checkpoint, reconcile
from payments.books import ledger
from payments.books.chart import NETWORK_FEES, PLATFORM_TREASURY, Account, PerDeal
from payments.books.ledger import Line
from payments.models import AccountBalance, Journal, Posting
from tests.advertmarket.audit import test_seals as audit_log
from tests.ops.incidents.seeing import names, seen
from tests.payments.threads import unfinished
from tests.redis_elsewhere import state_at

from .past import LEFT_NANO, SWEPT_NANO, live

pytestmark = [pytest.mark.usefixtures("committed_db"), pytest.mark.leaves_findings]

FULL, INCREMENTAL = ReconciliationRun.Kind.FULL, ReconciliationRun.Kind.INCREMENTAL
ACTOR = Actor.system("test")
BALANCES = "balances_are_sums_of_postings"


def look(kind: ReconciliationRun.Kind = INCREMENTAL) -> ReconciliationRun:
    return reconcile(kind, asked_by=ACTOR, ask_chain=False)


def found_by(kind: ReconciliationRun.Kind) -> dict[str, list[list[str]]]:
    """What a run finds, by its check's name."""
    failed = look(kind).results.exclude(passed=True)
    return dict(failed.values_list("name", "rows"))


def post(nano: int) -> str:
    """The platform bears some fees: a journal that needs nothing else; its key is returned."""
    key = f"fees:{uuid4()}"
    with transaction.atomic():
        ledger.post(
            kind=Journal.Kind.FEE_ADJUSTMENT,
            key=key,
            lines=[Line(PLATFORM_TREASURY, NETWORK_FEES, nano)],
            actor=ACTOR,
            at=timezone.now(),
        )
    return key


def post_without_its_balances(nano: int = 7) -> None:
    """A posting that the ledger would never make."""
    line = Line(PerDeal.COMMISSION.of(uuid4()), Account("DUST_WRITEOFF"), nano)
    kind = Journal.Kind.DUST_WRITEOFF
    journal = Journal.objects.create(
        kind=kind,
        key=f"wrong:{uuid4()}",
        digest=ledger.digest_of(kind=kind, lines=[line]),
        actor=str(ACTOR),
        correlation_id=uuid4(),
        posted_at=timezone.now(),
    )
    Posting.objects.create(
        journal=journal, debit=line.debit, credit=line.credit, amount_nano=line.amount_nano
    )


def tamper(statement: str, *parameters: int | str) -> None:
    with connection.cursor() as cursor:
        for table in ("ledger_journals", "ledger_postings"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, parameters)
        for table in ("ledger_journals", "ledger_postings"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def newest_posting() -> int:
    return Posting.objects.latest("id").id


def sealed_up_to() -> int:
    return Checkpoint.objects.get().posting_id


# --- sealing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [INCREMENTAL, FULL])
def test_a_run_that_passes_seals_what_it_saw(kind: ReconciliationRun.Kind) -> None:
    live(1)
    assert look(kind).passed

    assert sealed_up_to() == newest_posting()
    sums = {(one.account, one.detail): one.nano for one in CheckpointSum.objects.all()}
    [commission] = [key for key in sums if key[0].startswith("COMMISSION:")]
    assert sums == {
        ("EXTERNAL_TON", "0"): -9_994_000_000,
        ("EXTERNAL_TON", "1"): -LEFT_NANO,
        ("NETWORK_FEES", "NETWORK_FEE"): -4_000_000,
        ("PLATFORM_TREASURY", ""): SWEPT_NANO,
        commission: LEFT_NANO + 3_000_000,
    }


def test_the_next_run_begins_there_and_seals_on() -> None:
    live(1)
    look()
    first = sealed_up_to()
    live(1, first=2)

    run = look()

    assert (run.passed, run.since_posting) == (True, first)
    figures = run.results.get(number=1).figures
    assert figures["postings"] == 12
    assert sealed_up_to() == newest_posting() == first + 12
    assert look(FULL).passed


def test_a_report_says_after_which_posting_each_check_looked() -> None:
    live(1)
    look()
    first = sealed_up_to()

    since = dict(look().results.exclude(since=0).values_list("number", "since"))

    assert since == dict.fromkeys((1, 2, 4, 5, 7, 11, 14, 15), first)
    assert not look(FULL).results.exclude(since=0).exists()


def test_where_nothing_was_posted_nothing_is_sealed() -> None:
    run = look()

    assert (run.passed, run.since_posting) == (True, 0)
    assert not Checkpoint.objects.exists()


# --- ids that commit out of order -----------------------------------------------------------------


def test_a_posting_that_commits_late_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "PATIENCE_S", 0.05)
    live(1)
    look()
    before = sealed_up_to()
    with unfinished(post_without_its_balances):
        post(1)

        assert look().passed
        assert sealed_up_to() == before

    assert list(found_by(INCREMENTAL)) == [BALANCES]
    assert list(found_by(FULL)) == [BALANCES]
    assert sealed_up_to() == before


def test_without_waiting_it_would_be_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """That the test above can fail; and the full run is there for what nobody thought of."""
    monkeypatch.setattr(checkpoint, "wait_for_writers", lambda *_, **__: True)
    live(1)
    look()
    with unfinished(post_without_its_balances):
        post(1)
        look()

    assert found_by(INCREMENTAL) == {}
    assert list(found_by(FULL)) == [BALANCES]


# --- what lies behind -----------------------------------------------------------------------------


def test_a_posting_changed_behind_the_checkpoint_is_found_by_a_full_run() -> None:
    live(1)
    look()

    tamper("UPDATE ledger_postings SET amount_nano = amount_nano + 1 WHERE debit LIKE 'ESCROW:%%'")

    assert found_by(INCREMENTAL) == {}
    assert set(found_by(FULL)) == {BALANCES, "journals_are_whole"}


def take_back(key: str, nano: int) -> None:
    """Delete a journal, and make everything else agree."""
    tamper(
        "DELETE FROM ledger_postings USING ledger_journals WHERE tx_ref = journal_id AND key = %s",
        key,
    )
    tamper("DELETE FROM ledger_journals WHERE key = %s", key)
    balance = AccountBalance.objects.get(code=PLATFORM_TREASURY)
    AccountBalance.objects.filter(code=PLATFORM_TREASURY).update(
        balance_nano=balance.balance_nano + nano
    )


def test_only_the_checkpoint_remembers_a_journal_that_was_taken_back_whole() -> None:
    live(1)
    key = post(5)
    look()

    take_back(key, 5)

    found = found_by(FULL)
    assert list(found) == [BALANCES]
    assert sorted(found[BALANCES]) == [
        ["the checkpoint's NETWORK_FEES FEE_ADJUSTMENT", "sealed 5, sum of postings 0"],
        ["the checkpoint's PLATFORM_TREASURY", "sealed 9994999995, sum of postings 9995000000"],
    ]
    assert set(found_by(INCREMENTAL)) == {BALANCES}


def test_an_operator_who_knows_why_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    live(1)
    key = post(5)
    look()
    take_back(key, 5)

    call_command("reconcile", "--without-chain", "--new-checkpoint")

    assert "FAIL" not in capsys.readouterr().out
    assert sealed_up_to() == newest_posting()
    assert found_by(FULL) == {}


# --- a checkpoint that is not what was sealed -----------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reconciliation_sums SET nano = nano + 1 WHERE account = 'PLATFORM_TREASURY'",
        "DELETE FROM reconciliation_sums WHERE account = 'PLATFORM_TREASURY'",
        "INSERT INTO reconciliation_sums VALUES ('ESCROW:x', '', 1)",
    ],
)
def test_sums_that_were_changed_are_not_used_and_found(statement: str) -> None:
    live(1)
    look()
    tamper(statement)

    run = look()

    assert run.since_posting == 0
    assert [result.name for result in run.results.exclude(passed=True)] == [BALANCES]


def test_a_fault_cannot_hide_in_a_changed_checkpoint() -> None:
    live(1)
    look()
    post_without_its_balances(7)

    tamper("INSERT INTO reconciliation_sums VALUES ('DUST_WRITEOFF', '', -7)")
    tamper("UPDATE reconciliation_checkpoint SET posting_id = %s", newest_posting())

    assert BALANCES in found_by(INCREMENTAL)


def test_under_a_new_key_everything_is_looked_at_once(settings: Settings) -> None:
    live(1)
    look()
    settings.EVENT_SIGNING_KEY = b"n" * 32

    runs = [look(), look()]

    assert [(run.passed, run.since_posting) for run in runs] == [(True, 0), (True, 12)]


# --- the audit log --------------------------------------------------------------------------------

TAMPERED = ["check_critical:the_audit_log_is_unbroken"]


def seal_more(blocks: int) -> None:
    """The log goes on: a block every 10 s."""
    for number in range(blocks):
        audit_log.record(f"later {number}")
        assert sealer.seal(at=timezone.now()) == 1


def edit(entry: int, reason: str) -> None:
    audit_log.tamper("UPDATE audit_log SET reason = %s WHERE id = %s", reason, entry)


def test_what_was_found_in_the_audit_log_is_looked_at_until_it_is_mended() -> None:
    entries = audit_log.sealed(2, 2)
    assert look().passed
    edit(entries[2], "nothing")
    for _ in range(2):
        look()
        assert names(seen("books_are_right")) == TAMPERED
        seal_more(6)

    edit(entries[2], "2.0")
    assert look().passed

    assert names(seen("books_are_right")) == []


def test_an_edit_is_found_in_the_minute_however_many_blocks_are_sealed_in_it() -> None:
    entries = audit_log.sealed(2, 2)
    assert look().passed
    seal_more(1)
    edit(entries[3], "nothing")
    seal_more(5)

    look()

    assert names(seen("books_are_right")) == TAMPERED


def test_an_incremental_run_begins_a_few_blocks_before_the_last_one_that_was_proved() -> None:
    seal_more(7)
    assert look().passed
    seal_more(4)

    assert [look().results.get(number=16).since for _ in range(2)] == [2, 6]


def test_a_pass_over_newer_blocks_takes_back_nothing_that_a_full_run_found() -> None:
    [entry] = audit_log.sealed(1)
    seal_more(6)
    assert look().passed
    edit(entry, "nothing")
    assert found_by(INCREMENTAL) == {}
    look(FULL)
    assert look().passed

    assert names(seen("books_are_right")) == TAMPERED


def test_without_redis_nobody_knows_the_log_s_end_and_the_rest_is_looked_at(
    settings: Settings,
) -> None:
    entries = audit_log.sealed(2, 2)
    here = settings.REDIS_STATE_URL
    state_at(settings, audit_log.NOWHERE)
    look()
    assert names(seen("books_are_right")) == ["reconciliation_broken:the_audit_log_is_unbroken"]

    edit(entries[0], "nothing")
    look()
    assert names(seen("books_are_right")) == TAMPERED

    edit(entries[0], "1.0")
    state_at(settings, here)
    assert look().passed
    assert names(seen("books_are_right")) == []
