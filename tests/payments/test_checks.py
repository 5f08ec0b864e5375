"""Each promise of the books, broken on purpose: its check says so, alone where one can be.

Some faults break two promises at once; then both checks say so, and no other. A run that begins at
a checkpoint finds of them what a full one does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from advertmarket.actors import Actor
from advertmarket.audit import sealer
from advertmarket.audit.models import AuditEntry
from ops import checks
from ops.models import Checkpoint, ReconciliationRun
from ops.reconciliation import reconcile
from payments import services
from payments.books import ledger
from payments.books.chart import EXTERNAL_TON, Account, PerDeal, PerWallet
from payments.books.ledger import Line
from payments.models import (
    Deposit,
    Escrow,
    Journal,
    Posting,
    Settlement,
    TonTransaction,
    Wallet,
)
from payments.sending import settlements
from tests.payments.bank import ACTOR, OWNER_SHARE_NANO, PRICE_NANO, Bank

pytestmark = pytest.mark.leaves_findings

TON = 1_000_000_000

BALANCED = "debits_equal_credits"
WHOLE = "journals_are_whole"
AUDIT = "the_audit_log_is_unbroken"
BALANCES = "balances_are_sums_of_postings"
BOOKED = "chain_transactions_have_their_journals"
FEES = "fees_are_what_the_chain_took"
ONCE = "every_out_is_owed_once"
RESERVES = "wallets_hold_what_the_books_say"
ESCROWS = "escrows_hold_what_they_say"
LIABILITIES = "liabilities_have_a_way_out"
PARTIALS = "partial_deposits_wait_or_return"
OVERPAID = "overpayments_leave_in_a_day"
OWNERS = "people_are_paid_or_reminded"
SWEPT = "commission_is_swept_in_a_week"
LATE = "late_deposits_go_back"
ATTEMPTS = "attempts_end_and_are_counted"


@pytest.fixture
def reference(bank: Bank) -> UUID:
    """A deal that was paid, and paid out, since the checkpoint: nothing is wrong with it yet."""
    bank.fund_treasury()
    assert failing(ReconciliationRun.Kind.INCREMENTAL) == set()
    reference = bank.payout_due()
    bank.settle()
    sealer.seal(at=timezone.now())
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert checks.run_all() == {}
    return reference


def failing(kind: ReconciliationRun.Kind) -> set[str]:
    """Run the checks, and return the names of those that fail."""
    run = reconcile(kind, asked_by=Actor.system("test"), ask_chain=False)
    assert not run.error
    return set(run.results.exclude(passed=True).values_list("name", flat=True))


@pytest.fixture(autouse=True)
def any_journal_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted journal is one that the ledger would refuse."""
    monkeypatch.setattr(ledger, "allows", lambda *_: True)


def tamper(table: str, statement: str) -> None:
    """Change what the database refuses to change."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement)
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def row(reference: UUID, direction: str) -> TonTransaction:
    return TonTransaction.objects.get(wallet__reference=reference, direction=direction)


def change(reference: UUID, direction: str, **changes: object) -> None:
    TonTransaction.objects.filter(pk=row(reference, direction).pk).update(**changes)


# --- planted faults -------------------------------------------------------------------------------


def the_view_shows_more_than_was_debited(reference: UUID) -> None:
    """What auditors look at is not what the ledger holds."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_viewdef('ledger_entries')")
        (view,) = cursor.fetchone()
        wrong = view.replace("amount_nano AS debit_nano", "amount_nano * 2 AS debit_nano")
        cursor.execute(f"CREATE OR REPLACE VIEW ledger_entries AS {wrong}")


def a_balance_is_raised(reference: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO account_balances VALUES ('DUST_WRITEOFF', 1)")


def a_digest_is_another(reference: UUID) -> None:
    tamper("ledger_journals", "UPDATE ledger_journals SET digest = 'x' WHERE kind = 'ALLOCATED'")


def a_journal_has_no_postings(reference: UUID) -> None:
    Journal.objects.create(
        kind=Journal.Kind.DUST_WRITEOFF,
        key="claim:of nothing",
        digest="x",
        actor=str(ACTOR),
        correlation_id=reference,
        posted_at=timezone.now(),
    )


def an_entry_of_the_audit_log_is_changed(reference: UUID) -> None:
    assert AuditEntry.objects.exists()
    tamper("audit_log", "UPDATE audit_log SET reason = 'another'")


def more_arrived_than_was_booked(reference: UUID) -> None:
    change(reference, "IN", received_nano=F("received_nano") + 1)


def less_was_sent_than_was_booked(reference: UUID) -> None:
    change(reference, "OUT", sent_nano=F("sent_nano") - 1)


def a_journal_belongs_to_no_chain_transaction(reference: UUID) -> None:
    wallet = Wallet.objects.get(reference=reference)
    lines = [
        Line(EXTERNAL_TON, PerDeal.DEPOSIT_PENDING.of(reference), 5, wallet.subwallet),
    ]
    with transaction.atomic():
        ledger.post(
            kind=Journal.Kind.RECEIVED,
            key=f"in:{wallet.address}:1",
            lines=lines,
            actor=ACTOR,
            at=timezone.now(),
        )
    Wallet.objects.filter(pk=wallet.pk).update(balance_nano=F("balance_nano") + 5)
    TonTransaction.objects.filter(wallet=wallet, lt=wallet.last_lt).update(
        chain_balance_nano=F("chain_balance_nano") + 5
    )


def a_journal_has_another_key(reference: UUID) -> None:
    key = f"in:{row(reference, 'IN').wallet.address}:{row(reference, 'IN').lt}"
    tamper("ledger_journals", f"UPDATE ledger_journals SET key = 'in:0:0:1' WHERE key = '{key}'")


def a_journal_has_another_kind(reference: UUID) -> None:
    """The same postings, for another reason: with the digest that belongs to them."""
    journal = Journal.objects.get(kind=Journal.Kind.OWNER_WITHDRAWAL)
    _post_again(journal, kind=Journal.Kind.ALLOCATED)


def a_fee_is_paid_by_the_commission(reference: UUID) -> None:
    journal = Journal.objects.filter(kind=Journal.Kind.NETWORK_FEE).latest("posted_at")
    _post_again(journal, debit=PerDeal.COMMISSION.of(reference))


def a_second_transfer_landed(reference: UUID) -> None:
    copy = row(reference, "OUT")
    copy.pk, copy.lt, copy.hash_norm = None, 1, "f" * 64
    copy.sent_nano = copy.fee_nano = 0
    copy.save(force_insert=True)


def a_transfer_that_nobody_owed_landed(reference: UUID) -> None:
    copy = row(reference, "OUT")
    copy.pk, copy.lt, copy.hash_norm, copy.settlement = None, 1, "f" * 64, None
    copy.state = TonTransaction.State.FOREIGN
    copy.sent_nano = copy.fee_nano = 0
    copy.save(force_insert=True)


def a_deals_payout_is_taken_for_a_lost_deals(reference: UUID) -> None:
    change(reference, "OUT", state=TonTransaction.State.ADOPTED, settlement=None)


def the_chain_holds_less(reference: UUID) -> None:
    change(reference, "OUT", chain_balance_nano=F("chain_balance_nano") - 1)


def the_running_balance_is_wrong(reference: UUID) -> None:
    Wallet.objects.filter(reference=reference).update(balance_nano=F("balance_nano") + 1)


def a_posting_names_another_wallet(reference: UUID) -> None:
    journal = Journal.objects.get(kind=Journal.Kind.OWNER_WITHDRAWAL)
    _post_again(journal, subwallet=0)


def _post_again(
    journal: Journal,
    *,
    kind: Journal.Kind | None = None,
    debit: str | None = None,
    subwallet: int | None = None,
) -> None:
    """Replace a journal by one that differs, and is whole in itself."""
    [posting] = journal.postings.all()
    tamper("ledger_postings", f"DELETE FROM ledger_postings WHERE journal_id = '{journal.pk}'")
    tamper("ledger_journals", f"DELETE FROM ledger_journals WHERE tx_ref = '{journal.pk}'")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE account_balances SET balance_nano = balance_nano + %s WHERE code = %s",
            [posting.amount_nano, posting.debit],
        )
    wallet = posting.wallet_id if subwallet is None else subwallet
    line = Line(debit or posting.debit, posting.credit, posting.amount_nano, wallet)  # type: ignore[arg-type]  # codes as stored
    with transaction.atomic():
        ledger.post(
            kind=kind or Journal.Kind(journal.kind),
            key=journal.key,
            lines=[line],
            actor=ACTOR,
            at=journal.posted_at,
        )


def a_funded_escrow_holds_nothing(reference: UUID) -> None:
    Escrow.objects.update(state=Escrow.State.FUNDED, ended_at=None)


def a_refund_is_owed_of_nothing(reference: UUID) -> None:
    with transaction.atomic():
        settlements.owe(
            kind=Settlement.Kind.REFUND,
            reference=reference,
            wallet=Wallet.objects.get(reference=reference),
            amount_nano=TON,
            at=timezone.now(),
        )


def the_owner_has_earned_what_nobody_pays(reference: UUID) -> None:
    _post_aside(reference, PerDeal.OWNER_PENDING.of(reference))


def what_came_unasked_goes_back_without_a_transfer(reference: UUID) -> None:
    wallet = Wallet.objects.get(reference=reference)
    _post_aside(reference, PerWallet.RETURNING.of(wallet.subwallet))


def a_return_waits_for_an_hour(reference: UUID) -> None:
    what_came_unasked_goes_back_without_a_transfer(reference)
    _owe(
        reference,
        Settlement.Kind.UNSOLICITED_REFUND,
        since=ago(minutes=61),
        destination="0:" + "ab" * 32,
    )


def a_lost_deals_payout_came_back_to_a_deal_that_is_not_lost(reference: UUID) -> None:
    a_deals_payout_is_taken_for_a_lost_deals(reference)
    TonTransaction.objects.filter(state="ADOPTED").update(state="BOUNCED")


def a_partial_deposit_waits_for_nothing(reference: UUID) -> None:
    _post_aside(reference, PerDeal.PARTIAL_DEPOSIT.of(reference))


def what_came_back_is_held_for_nobody(reference: UUID) -> None:
    wallet = Wallet.objects.get(reference=reference)
    _post_aside(reference, PerWallet.BOUNCED.of(wallet.subwallet))


def a_wallet_owes_what_another_one_holds(reference: UUID) -> None:
    other = Wallet.objects.filter(reference=None, subwallet__gt=0).latest("subwallet")
    _post_aside(reference, PerWallet.UNSOLICITED.of(other.subwallet))


def _post_aside(reference: UUID, to: Account) -> None:
    with transaction.atomic():
        ledger.post(
            kind=Journal.Kind.ALLOCATED,
            key="aside",
            lines=[Line(PerDeal.COMMISSION.of(reference), to, TON)],
            actor=ACTOR,
            at=timezone.now(),
        )


def the_commission_lies_there_for_a_week(reference: UUID) -> None:
    Settlement.objects.update(state_since_at=timezone.now() - dt.timedelta(days=7, minutes=1))


def a_seqno_was_not_counted(reference: UUID) -> None:
    Wallet.objects.filter(reference=reference).update(expected_seqno=0)


def an_overpayment_waits_for_a_day(reference: UUID) -> None:
    _post_aside(reference, PerDeal.OVERPAYMENT.of(reference))
    deposit = Deposit.objects.get(escrow=reference)
    _owe(reference, Settlement.Kind.OVERPAYMENT_REFUND, since=ago(hours=25), deposit=deposit)


def a_refund_waits_for_an_hour(reference: UUID) -> None:
    _post_aside(reference, PerDeal.REFUND_PENDING.of(reference))
    _owe(reference, Settlement.Kind.REFUND, since=ago(minutes=61))


def _owe(
    reference: UUID,
    kind: Settlement.Kind,
    *,
    since: dt.datetime,
    deposit: Deposit | None = None,
    destination: str = "",
) -> None:
    with transaction.atomic():
        settlements.owe(
            kind=kind,
            reference=reference,
            wallet=Wallet.objects.get(reference=reference),
            amount_nano=TON,
            deposit=deposit,
            destination=destination,
            at=since,
        )


BUILT_ON = {BALANCED, BOOKED, BALANCES, WHOLE, FEES, ONCE, ATTEMPTS, RESERVES}
"""The checks that a checkpoint builds on: while one fails, it stays where it is."""

PLANTED: list[tuple[Callable[[UUID], None], set[str]]] = [
    (the_view_shows_more_than_was_debited, {BALANCED}),
    (more_arrived_than_was_booked, {BOOKED}),
    (less_was_sent_than_was_booked, {BOOKED}),
    (a_journal_belongs_to_no_chain_transaction, {BOOKED, LIABILITIES}),
    (a_journal_has_another_key, {BOOKED}),
    (a_journal_has_another_kind, {BOOKED}),
    (a_balance_is_raised, {BALANCES}),
    (a_digest_is_another, {WHOLE}),
    (a_journal_has_no_postings, {WHOLE}),
    (a_fee_is_paid_by_the_commission, {FEES}),
    (a_second_transfer_landed, {ONCE, ATTEMPTS}),
    (a_transfer_that_nobody_owed_landed, {ONCE}),
    (a_deals_payout_is_taken_for_a_lost_deals, {BOOKED, ONCE}),
    (a_lost_deals_payout_came_back_to_a_deal_that_is_not_lost, {BOOKED, ONCE, FEES}),
    (the_chain_holds_less, {RESERVES}),
    (the_running_balance_is_wrong, {RESERVES}),
    (a_posting_names_another_wallet, {RESERVES, BOOKED}),
    (a_funded_escrow_holds_nothing, {ESCROWS}),
    (a_refund_is_owed_of_nothing, {LIABILITIES}),
    (the_owner_has_earned_what_nobody_pays, {LIABILITIES}),
    (what_came_unasked_goes_back_without_a_transfer, {LIABILITIES}),
    (a_partial_deposit_waits_for_nothing, {PARTIALS}),
    (what_came_back_is_held_for_nobody, {LIABILITIES}),
    (a_wallet_owes_what_another_one_holds, {RESERVES}),
    (an_overpayment_waits_for_a_day, {OVERPAID}),
    (a_refund_waits_for_an_hour, {OWNERS}),
    (a_return_waits_for_an_hour, {OWNERS}),
    (the_commission_lies_there_for_a_week, {SWEPT}),
    (a_seqno_was_not_counted, {ATTEMPTS}),
    (an_entry_of_the_audit_log_is_changed, {AUDIT}),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("plant", "found"), PLANTED, ids=[one.__name__ for one, _ in PLANTED])
def test_a_planted_fault_is_found_by_its_checks_alone(
    reference: UUID, plant: Callable[[UUID], None], found: set[str]
) -> None:
    plant(reference)

    assert set(checks.run_all()) == found
    assert failing(ReconciliationRun.Kind.INCREMENTAL) == found
    assert failing(ReconciliationRun.Kind.FULL) == found
    is_passed_over = Checkpoint.objects.get().posting_id == Posting.objects.latest("id").id
    assert is_passed_over is not bool(found & BUILT_ON)


def test_every_check_has_a_fault_that_it_alone_finds() -> None:
    """Check 13 has its own test, below."""
    alone = {name for _, found in PLANTED for name in found if len(found) == 1}

    assert alone | {LATE} == {check.name for check in checks.all_checks()}


# --- what has waited too long ---------------------------------------------------------------------


def ago(**time: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(**time)


def found_once_it_is(bank: Bank, column: str, still_right: dt.timedelta) -> list[str]:
    """Return what the checks find once the settlement's column is older than that."""
    Settlement.objects.update(**{column: timezone.now() - still_right + dt.timedelta(minutes=1)})
    assert checks.run_all() == {}
    Settlement.objects.update(**{column: timezone.now() - still_right - dt.timedelta(minutes=1)})
    return list(checks.run_all())


def test_an_overpayment_that_has_waited_a_day_is_found(bank: Bank) -> None:
    reference = bank.funded_escrow()
    bank.pay(reference, 5 * TON)
    bank.chain.mine(3)
    bank.read()
    bank.apply_deposits()

    assert found_once_it_is(bank, "state_since_at", dt.timedelta(days=1)) == [OVERPAID]


def test_a_payout_that_has_waited_an_hour_is_found(bank: Bank) -> None:
    bank.payout_due()

    assert found_once_it_is(bank, "state_since_at", dt.timedelta(hours=1)) == [OWNERS]


def test_a_held_payout_is_not_found(bank: Bank) -> None:
    bank.payout_due()
    Settlement.objects.update(state=Settlement.State.HELD, state_since_at=ago(days=9))

    assert checks.run_all() == {}


def test_an_unclaimed_payout_whose_owner_was_not_reminded_is_found(bank: Bank) -> None:
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.execute()
    Settlement.objects.update(state_since_at=ago(days=30))

    assert found_once_it_is(bank, "unclaimed_since_at", dt.timedelta(days=8)) == [OWNERS]
    Settlement.objects.update(reminded_day=7)
    assert checks.run_all() == {}


def late_deposits(bank: Bank, *nanos: int) -> list[Deposit]:
    """Money that came after its deal's end an hour ago, as it should be: all of it goes back."""
    reference = bank.open_escrow()
    with transaction.atomic():
        services.close_escrow(reference=reference, actor=ACTOR, at=timezone.now())
    for nano in nanos:
        bank.deposit(reference, nano)
    Deposit.objects.update(decided_at=ago(minutes=61))
    assert checks.run_all() == {}
    return list(Deposit.objects.order_by("pk"))


def test_a_late_deposit_that_nobody_gives_back_is_found(bank: Bank) -> None:
    late_deposits(bank, PRICE_NANO)

    Settlement.objects.all().delete()

    assert set(checks.run_all()) == {LATE, LIABILITIES}


def test_a_late_deposit_that_goes_back_for_another_one_is_found_by_its_check_alone(
    bank: Bank,
) -> None:
    first, second = late_deposits(bank, PRICE_NANO, 3 * TON)

    Settlement.objects.filter(deposit=second).delete()
    Settlement.objects.filter(deposit=first).update(amount_nano=PRICE_NANO + 3 * TON)

    assert list(checks.run_all()) == [LATE]
    assert failing(ReconciliationRun.Kind.INCREMENTAL) == {LATE}


def test_an_attempt_that_is_live_for_ten_minutes_is_found(bank: Bank) -> None:
    bank.payout_due()
    bank.execute()
    TonTransaction.objects.filter(direction="OUT").update(signed_at=ago(minutes=9))
    assert checks.run_all() == {}

    TonTransaction.objects.filter(direction="OUT").update(signed_at=ago(minutes=11))

    assert list(checks.run_all()) == [ATTEMPTS]


def test_a_theft_is_found_by_every_check_that_it_concerns(bank: Bank) -> None:
    """What landed with our key and without a settlement is in no journal."""
    reference = bank.payout_due()
    bank.execute()
    bank.read()
    TonTransaction.objects.filter(direction="OUT").update(
        state=TonTransaction.State.FOREIGN, settlement=None
    )
    journal = Journal.objects.get(kind=Journal.Kind.OWNER_WITHDRAWAL)
    tamper("ledger_postings", f"DELETE FROM ledger_postings WHERE journal_id = '{journal.pk}'")
    tamper("ledger_journals", f"DELETE FROM ledger_journals WHERE tx_ref = '{journal.pk}'")

    found = checks.run_all()

    assert set(found) == {BALANCES, BOOKED, ONCE, RESERVES, ATTEMPTS, LIABILITIES}
    [reserves] = found[RESERVES]
    wallet = bank.wallet(reference)
    assert reserves.subject == f"wallet {wallet.subwallet}"
    assert f"books {wallet.balance_nano + OWNER_SHARE_NANO}" in reserves.problem
    assert wallet.balance_nano < PRICE_NANO
