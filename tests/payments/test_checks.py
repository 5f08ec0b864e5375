"""Each promise of the books against the chain, broken on purpose: its check says so, alone."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from ops import checks
from payments import ledger
from payments.chart import EXTERNAL_TON, PerDeal
from payments.ledger import Line
from payments.models import Journal, Posting, TonTransaction, Wallet
from tests.payments.bank import ACTOR, OWNER_SHARE_NANO, PRICE_NANO, Bank

pytestmark = pytest.mark.leaves_findings

BOOKED = "chain_transactions_have_their_journals"
FEES = "fees_are_what_the_chain_took"
ONCE = "every_out_is_owed_once"
RESERVES = "wallets_hold_what_the_books_say"


@pytest.fixture
def reference(bank: Bank) -> UUID:
    """A deal that was paid, and paid out: nothing is wrong with it yet."""
    reference = bank.payout_due()
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert checks.run_all() == {}
    return reference


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


PLANTED: list[tuple[Callable[[UUID], None], str]] = [
    (more_arrived_than_was_booked, BOOKED),
    (less_was_sent_than_was_booked, BOOKED),
    (a_journal_belongs_to_no_chain_transaction, BOOKED),
    (a_journal_has_another_key, BOOKED),
    (a_journal_has_another_kind, BOOKED),
    (a_fee_is_paid_by_the_commission, FEES),
    (a_second_transfer_landed, ONCE),
    (a_transfer_that_nobody_owed_landed, ONCE),
    (the_chain_holds_less, RESERVES),
    (the_running_balance_is_wrong, RESERVES),
]


@pytest.mark.parametrize(("plant", "check"), PLANTED, ids=[one.__name__ for one, _ in PLANTED])
def test_a_planted_fault_is_found_by_its_check_alone(
    reference: UUID, plant: Callable[[UUID], None], check: str
) -> None:
    plant(reference)

    assert list(checks.run_all()) == [check]


def test_a_posting_that_names_another_wallet_is_missed_there_and_found_here(
    reference: UUID,
) -> None:
    a_posting_names_another_wallet(reference)

    assert list(checks.run_all()) == [BOOKED, RESERVES]


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

    assert set(found) == {"balances_are_sums_of_postings", BOOKED, ONCE, RESERVES}
    [reserves] = found[RESERVES]
    wallet = bank.wallet(reference)
    assert reserves.subject == f"wallet {wallet.subwallet}"
    assert f"books {wallet.balance_nano + OWNER_SHARE_NANO}" in reserves.problem
    assert Posting.objects.count() > 0
    assert wallet.balance_nano < PRICE_NANO
