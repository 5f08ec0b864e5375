"""A deal's deposits, its end and its addresses, all beside each other; with controls."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import selectors as accounts_selectors
from payments import services
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.books.ledger import InsufficientFunds
from payments.chain import reader
from payments.deposits import allocation, partials
from payments.models import ChainCursor, Deposit, Escrow, Settlement, TonTransaction
from payments.sending import sweep, transfers
from payments.sending.executor import Executor
from payments.services import ChainBehind, EscrowNotEmpty, EscrowNotFunded
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.lines import Line, before, line_of
from tests.payments.threads import Meanwhile, elsewhere, together

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
Kind = Settlement.Kind

AFTER_THE_LOOK = line_of(Executor._sign, "now = timezone.now()")
AFTER_THE_COMMIT = line_of(Executor._sign, "if given_up")


# --- deposits beside the end of a deal ------------------------------------------------------------


def soon_to_expire(bank: Bank) -> UUID:
    """An escrow with 20 s left to pay, and a payment in time that is not read yet."""
    reference = bank.open_escrow()
    deadline_at = ChainCursor.objects.get().block_at + dt.timedelta(seconds=20)
    Escrow.objects.update(payment_deadline_at=deadline_at)
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    return reference


@pytest.mark.parametrize("text", ["cursor =", "deadline_at ="])
def test_a_payment_in_time_that_is_read_while_the_deal_expires_keeps_it_alive(
    bank: Bank, text: str
) -> None:
    """The reader would advance past the deadline and book the payment between two of our reads."""
    reference = soon_to_expire(bank)

    with bank.pass_time(25):
        reading = Meanwhile(bank.read)
        line = line_of(services.close_escrow, text)
        with before(line, reading), pytest.raises(ChainBehind):
            bank.close(reference)
        reading.result()
        with pytest.raises(EscrowNotEmpty):
            bank.close(reference)

    bank.apply_deposits()
    assert bank.escrow(reference).state == Escrow.State.FUNDED


def test_read_in_the_other_order_the_payment_would_be_overlooked(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: unlocked, first whether anything came, then how far we have read."""
    reference = soon_to_expire(bank)
    with transaction.atomic():
        seen_before = partials.pays_the_price(bank.escrow(reference))
    monkeypatch.setattr(services, "pays_the_price", lambda _escrow: seen_before)
    monkeypatch.setattr(services, "lock_escrow", lambda ref: Escrow.objects.get(reference=ref))

    with (
        bank.pass_time(25),
        before(line_of(services.close_escrow, "cursor ="), lambda: elsewhere(bank.read)),
    ):
        bank.close(reference)

    assert bank.escrow(reference).state == Escrow.State.CLOSED
    overlooked = TonTransaction.objects.get(direction="IN")
    assert overlooked.chain_at is not None
    assert bank.escrow(reference).payment_deadline_at > overlooked.chain_at


def test_a_deal_does_not_expire_before_the_chain_is_read_up_to_its_deadline(bank: Bank) -> None:
    reference = bank.open_escrow()
    deadline_at = ChainCursor.objects.get().block_at + dt.timedelta(seconds=20)
    Escrow.objects.update(payment_deadline_at=deadline_at)

    with bank.pass_time(25):
        with pytest.raises(ChainBehind):
            bank.close(reference)
        bank.read()
        bank.close(reference)

    assert bank.escrow(reference).state == Escrow.State.CLOSED


def test_the_rule_of_a_deposit_and_the_end_of_its_deal_exclude_each_other(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.pay(reference)

    closing_it = Meanwhile(lambda: bank.close(reference))
    with before(line_of(allocation._fund, "escrow.state,"), closing_it):
        bank.apply_deposits()

    with pytest.raises(EscrowNotEmpty):
        closing_it.result()
    assert bank.escrow(reference).state == Escrow.State.FUNDED


def test_a_deposit_booked_after_the_deal_was_cancelled_is_a_late_one(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)

    with before(
        line_of(reader.read_new_blocks, "store_block("),
        lambda: elsewhere(lambda: bank.close(reference)),
    ):
        bank.read()
    bank.apply_deposits()

    assert bank.escrow(reference).state == Escrow.State.CLOSED
    assert Deposit.objects.get().rule == "after the end of the deal (CLOSED)"
    assert ledger.balance(PerDeal.LATE_DEPOSIT.of(reference)) == PRICE_NANO


# --- the release ----------------------------------------------------------------------------------


def test_releases_at_once_owe_one_payout(bank: Bank) -> None:
    bank.set_payout_address()
    reference = bank.funded_escrow()

    for release in together(*[lambda: bank.release(reference)] * 4):
        release.result()

    assert Settlement.objects.count() == 1
    assert ledger.balance(PerDeal.OWNER_PENDING.of(reference)) == OWNER_SHARE_NANO


def test_a_release_that_waited_for_another_changes_nothing(bank: Bank) -> None:
    reference = bank.funded_escrow()

    other = Meanwhile(lambda: bank.release(reference))
    with before(line_of(services._owe_payout, "settlements.owe("), other):
        bank.release(reference)
    other.result()

    assert Settlement.objects.count() == 1


def test_without_the_escrow_lock_both_would_owe_a_payout(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: the constraint refuses what the lock prevents."""
    reference = bank.funded_escrow()
    monkeypatch.setattr(services, "lock_escrow", lambda ref: Escrow.objects.get(reference=ref))

    other = Meanwhile(lambda: bank.release(reference))
    with before(line_of(services._owe_payout, "settlements.owe("), other):
        bank.release(reference)

    with pytest.raises(IntegrityError, match="settlement_one_open_per_kind"):
        other.result()


# --- the payout address ---------------------------------------------------------------------------


def changing(bank: Bank, to: PersonsWallet) -> Callable[[], None]:
    """The owner's account asks for another address, in a request of its own."""
    return lambda: elsewhere(lambda: bank.set_payout_address(address=to.raw_address))


@pytest.mark.parametrize(
    "line",
    [
        line_of(Executor._sign, "sight = self._look"),
        AFTER_THE_LOOK,
        line_of(Executor._record_signature, "if destination !="),
        line_of(accounts_selectors.payout_address, "value = vault.read"),
    ],
)
def test_an_address_changed_before_the_signature_is_not_paid_before_its_time(
    bank: Bank, line: Line
) -> None:
    reference = bank.payout_due()
    thief = PersonsWallet(f"thief {uuid4()}")

    with before(
        line, lambda: elsewhere(lambda: bank.set_payout_address(address=thief.raw_address))
    ):
        bank.execute()
    bank.settle(turns=2)

    assert bank.attempts(reference) == []
    assert bank.settlement(reference).state == Settlement.State.QUEUED
    with bank.pass_time(24 * 3600 + 5):
        bank.settle()
    assert bank.chain.balance(thief.raw_address) == OWNER_SHARE_NANO
    assert bank.owner_has() == 0


def test_an_address_changed_after_the_signature_gets_nothing_of_this_payout(bank: Bank) -> None:
    reference = bank.payout_due()
    other = PersonsWallet(f"other {uuid4()}")

    with before(
        AFTER_THE_COMMIT,
        lambda: elsewhere(lambda: bank.set_payout_address(address=other.raw_address)),
    ):
        bank.execute()
    bank.settle()

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.chain.balance(other.raw_address) == 0
    assert bank.attempts(reference) == ["CONFIRMED"]


# --- what goes back -------------------------------------------------------------------------------


def test_executors_at_once_give_back_once(bank: Bank) -> None:
    reference = bank.refund_due()

    for _ in range(4):
        for run in together(*[lambda: bank.executor().run(at_most=10)] * 3):
            run.result()
        bank.read()
        Settlement.objects.update(due_at=timezone.now())

    assert len(bank.advertiser_received()) == 1
    assert bank.attempts(reference, Kind.REFUND) == ["CONFIRMED"]


def test_a_deal_decided_twice_at_once_is_decided_once(bank: Bank) -> None:
    reference = bank.funded_escrow()

    other = Meanwhile(lambda: bank.refund(reference))
    with before(line_of(services._owe_payout, "settlements.owe("), other):
        bank.release(reference)
    with pytest.raises(EscrowNotFunded):
        other.result()

    assert list(Settlement.objects.values_list("kind", flat=True)) == ["PAYOUT"]
    assert "REFUND_PENDING" not in bank.holds(reference)


def test_without_the_escrow_lock_the_books_refuse_the_second_decision(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: what is in escrow cannot be given twice, whoever believes it can."""
    reference = bank.funded_escrow()
    monkeypatch.setattr(services, "lock_escrow", lambda ref: Escrow.objects.get(reference=ref))

    other = Meanwhile(lambda: bank.refund(reference))
    with before(line_of(services._owe_payout, "settlements.owe("), other):
        bank.release(reference)

    with pytest.raises(InsufficientFunds):
        other.result()


def returning_a_part(bank: Bank) -> UUID:
    """A deal that still awaits its price: its advertiser may still change the refund address."""
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)
    Escrow.objects.update(partial_since_at=timezone.now() - partials.PARTIAL_FOR)
    bank.return_stale_partials()
    return reference


@pytest.mark.parametrize(
    "line",
    [
        line_of(Executor._sign, "sight = self._look"),
        AFTER_THE_LOOK,
        line_of(transfers._refund_destination, "if at <"),
        line_of(transfers._refund_destination, "return stored_destination"),
    ],
)
def test_a_refund_address_changed_before_the_signature_is_not_paid_before_its_time(
    bank: Bank, line: Line
) -> None:
    reference = returning_a_part(bank)
    thief = PersonsWallet(f"thief {uuid4()}")

    with before(
        line, lambda: elsewhere(lambda: bank.set_refund_address(reference, thief.raw_address))
    ):
        bank.execute()
    bank.settle(turns=2)

    assert bank.attempts(reference, Kind.PARTIAL_DEPOSIT_REFUND) == []
    with bank.pass_time(24 * 3600 + 5):
        bank.settle()
    assert len(bank.received_at(thief.raw_address)) == 1
    assert bank.advertiser_received() == []


def test_a_refund_address_that_changes_during_the_signature_waits_for_its_end(bank: Bank) -> None:
    reference = returning_a_part(bank)
    other = PersonsWallet(f"other {uuid4()}")

    changing_it = Meanwhile(lambda: bank.set_refund_address(reference, other.raw_address))
    with before(line_of(Executor._record_signature, "if destination !="), changing_it):
        bank.execute()
    changing_it.result()
    bank.settle()

    assert len(bank.advertiser_received()) == 1
    assert bank.received_at(other.raw_address) == []


def test_a_refund_address_changed_after_the_signature_gets_nothing_of_this_refund(
    bank: Bank,
) -> None:
    reference = returning_a_part(bank)
    other = PersonsWallet(f"other {uuid4()}")

    with before(
        AFTER_THE_COMMIT,
        lambda: elsewhere(lambda: bank.set_refund_address(reference, other.raw_address)),
    ):
        bank.execute()
    bank.settle()

    assert len(bank.advertiser_received()) == 1
    assert bank.received_at(other.raw_address) == []


def test_a_part_that_goes_stale_while_the_rest_is_decided_stays(bank: Bank) -> None:
    """Whoever locks the deal first decides; the other finds it decided."""
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)
    Escrow.objects.update(partial_since_at=timezone.now() - partials.PARTIAL_FOR)
    bank.pay(reference, 40 * TON)
    bank.read()
    bank.read()

    stale = Meanwhile(bank.return_stale_partials)
    with before(line_of(allocation._fund, "escrow.state,"), stale):
        bank.apply_deposits()
    stale.result()

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    assert not Settlement.objects.exists()


def test_a_sweep_owed_while_a_deposit_is_booked_waits_for_it(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.settle()
    bank.chain.faucet(bank.wallet(reference).address, 2 * TON)

    reading = Meanwhile(bank.read)
    with before(line_of(sweep.owe_sweep, "settlements.owe("), reading):
        bank.sweep()
    reading.result()
    for _ in range(3):
        bank.read()
    bank.apply_deposits()
    bank.settle(turns=8)

    assert len(bank.advertiser_received()) == 1
    assert bank.settlement(reference, Kind.COMMISSION_SWEEP).state == "CONFIRMED"
    assert bank.holds(reference) == {}
    assert bank.off_the_chain() == {}
