"""Money for a deal that is over: it goes back by itself, unless it had been in time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.messaging.models import OutboxMessage
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF
from payments.models import ChainCursor, Deposit, Escrow, Journal, Settlement
from payments.operations.books import AJournal, NotReversible, reverse
from payments.operations.registry import Payload
from payments.operations.settlements import AStuckSettlement, write_off
from tests.payments.bank import ACTOR, PRICE_NANO, Bank
from tests.payments.overlooking import read_but

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
DUST_NANO = 10_000_000
BACK = Settlement.Kind.LATE_DEPOSIT_REFUND


# --- over -----------------------------------------------------------------------------------------


def cancelled(bank: Bank) -> UUID:
    reference = bank.refundable_escrow()
    bank.close(reference)
    return reference


def expired(bank: Bank) -> UUID:
    """Whatever comes now is late by the chain's clock."""
    reference = bank.refundable_escrow()
    bank.close(reference, expired=True)
    Escrow.objects.update(payment_deadline_at=ChainCursor.objects.get().block_at)
    return reference


def refunded(bank: Bank) -> UUID:
    reference = bank.refund_due()
    bank.settle()
    return reference


def split(bank: Bank) -> UUID:
    reference = bank.split_due()
    bank.settle(turns=8)
    return reference


def released(bank: Bank) -> UUID:
    reference = bank.payout_due()
    bank.settle()
    return reference


@pytest.mark.parametrize(
    ("over", "state"),
    [
        (cancelled, "CLOSED"),
        (expired, "EXPIRED"),
        (refunded, "REFUNDED"),
        (split, "SPLIT"),
        (released, "RELEASED"),
    ],
)
def test_what_comes_after_the_end_goes_back(
    bank: Bank, over: Callable[[Bank], UUID], state: str
) -> None:
    reference = over(bank)
    held_before, received_before = bank.holds(reference), len(bank.advertiser_received())
    owner_received = bank.owner_received()

    bank.deposit(reference, 7 * TON)
    deposit = Deposit.objects.latest("pk")
    assert deposit.rule == f"after the end of the deal ({state})"
    assert bank.holds(reference) == {**held_before, "LATE_DEPOSIT": 7 * TON}
    bank.settle()

    [withheld] = bank.withheld(reference, BACK)
    assert bank.advertiser_received()[received_before:] == [7 * TON - withheld]
    assert bank.holds(reference) == held_before
    assert bank.escrow(reference).state == state
    assert bank.owner_received() == owner_received
    assert OutboxMessage.objects.filter(event_type="DEPOSIT_LATE").count() == 1
    assert bank.off_the_chain() == {}


def test_each_late_deposit_goes_back_by_itself(bank: Bank) -> None:
    reference = cancelled(bank)
    address = bank.wallet(reference).address
    bank.pay_at_once([(address, 2 * TON), (address, 3 * TON)])
    bank.read()
    bank.apply_deposits()

    bank.settle(turns=8)

    withheld = bank.withheld(reference, BACK)
    assert sum(bank.advertiser_received()) == 5 * TON - sum(withheld)
    assert bank.attempts(reference, BACK) == ["CONFIRMED", "CONFIRMED"]
    assert bank.holds(reference) == {}


@pytest.mark.parametrize("nano", [1, DUST_NANO])
def test_late_dust_is_written_off(bank: Bank, nano: int) -> None:
    reference = cancelled(bank)

    bank.deposit(reference, nano)

    assert bank.holds(reference) == {}
    assert ledger.balance(DUST_WRITEOFF) == nano
    assert not Settlement.objects.exists()
    assert not OutboxMessage.objects.filter(event_type="DEPOSIT_LATE").exists()


def test_without_a_refund_address_it_waits(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.close(reference)
    bank.deposit(reference, 7 * TON)

    bank.settle(turns=2)
    assert bank.settlement(reference, BACK).waiting_for == "a refund address"
    bank.set_refund_address(reference)
    bank.settle(turns=2)
    assert bank.settlement(reference, BACK).waiting_for.startswith("the address, which counts from")
    with bank.pass_time(24 * 3600 + 60):
        bank.read()
        bank.settle()

    assert len(bank.advertiser_received()) == 1
    assert bank.holds(reference) == {}


# --- in time, and found late ----------------------------------------------------------------------


def expired_unseen(bank: Bank, nano: int, *, before_that: int = 0) -> UUID:
    """A deal that was paid in time, and expired since nobody had seen it."""
    reference = bank.refundable_escrow()
    if before_that:
        bank.deposit(reference, before_that)
    deadline_at = dt.datetime.fromtimestamp(bank.chain.now() + 60, dt.UTC)
    Escrow.objects.update(payment_deadline_at=deadline_at)
    bank.chain.faucet(bank.wallet(reference).address, nano)
    with bank.pass_time(90):
        read_but(bank, bank.wallet(reference))
        bank.close(reference, expired=True)
    return reference


def find_it(bank: Bank, reference: UUID) -> None:
    """A stranger's nano reveals what was overlooked."""
    bank.deposit(reference, 1)


def test_a_deposit_that_was_in_time_funds_a_deal_that_expired(bank: Bank) -> None:
    reference = expired_unseen(bank, PRICE_NANO)
    assert bank.escrow(reference).state == "EXPIRED"

    find_it(bank, reference)

    escrow = bank.escrow(reference)
    assert (escrow.state, escrow.funded_nano, escrow.ended_at) == ("FUNDED", PRICE_NANO, None)
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    first, second = Deposit.objects.order_by("pk")
    assert first.rule == "in time for a deal that had expired: funds it"
    assert second.rule == "above the price of a funded deal"
    assert OutboxMessage.objects.filter(event_type="DEPOSIT_CONFIRMED").count() == 1


def test_what_was_in_time_and_above_the_price_is_divided(bank: Bank) -> None:
    reference = expired_unseen(bank, PRICE_NANO + 2 * TON)

    find_it(bank, reference)

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO, "OVERPAYMENT": 2 * TON}


def test_what_was_in_time_and_too_little_goes_back(bank: Bank) -> None:
    reference = expired_unseen(bank, PRICE_NANO - 1_000_001)

    find_it(bank, reference)

    assert bank.escrow(reference).state == "EXPIRED"
    assert bank.holds(reference) == {"LATE_DEPOSIT": PRICE_NANO - 1_000_001}


def test_once_something_was_given_back_the_deal_stays_over(bank: Bank) -> None:
    reference = expired_unseen(bank, PRICE_NANO, before_that=5 * TON)

    find_it(bank, reference)

    assert bank.escrow(reference).state == "EXPIRED"
    assert bank.holds(reference) == {"PARTIAL_DEPOSIT": 5 * TON, "LATE_DEPOSIT": PRICE_NANO}


def test_after_the_deadline_by_the_chains_clock_is_late(bank: Bank) -> None:
    """It was made when the deal was still open, by ours."""
    reference = bank.refundable_escrow()
    deadline_at = dt.datetime.fromtimestamp(bank.chain.now() + 60, dt.UTC)
    Escrow.objects.update(payment_deadline_at=deadline_at)
    with bank.pass_time(61):
        bank.read()
        bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
        bank.close(reference, expired=True)
        bank.read()
        bank.apply_deposits()

    assert bank.escrow(reference).state == "EXPIRED"
    assert bank.holds(reference) == {"LATE_DEPOSIT": PRICE_NANO}


def test_a_cancelled_deal_is_not_revived(bank: Bank) -> None:
    """Somebody decided that it is over."""
    reference = expired_unseen(bank, PRICE_NANO)
    Escrow.objects.update(state=Escrow.State.CLOSED)

    find_it(bank, reference)

    assert bank.escrow(reference).state == "CLOSED"
    assert bank.holds(reference) == {"LATE_DEPOSIT": PRICE_NANO}


def test_what_a_waiting_sweep_took_along_is_not_owed_again(bank: Bank) -> None:
    """The sweep was owed before the write-off, and left after it, with all that was there."""
    bank.fund_treasury()
    reference = bank.payout_due()
    bank.settle()
    bank.sweep()
    bank.deposit(reference, 5 * TON)
    late = bank.settlement(reference, BACK)
    _do(
        write_off,
        AStuckSettlement(
            settlement_id=late.pk, nano=late.amount_nano, waiting_for=late.waiting_for
        ),
        evidence=bank.api.wallet_state(bank.wallet(reference).address),
    )
    bank.settle()
    assert bank.settlement(reference, Settlement.Kind.COMMISSION_SWEEP).state == "CONFIRMED"

    with pytest.raises(NotReversible):
        _do(reverse, AJournal(tx_ref=Journal.objects.get(kind="DUST_WRITEOFF").pk))

    assert bank.holds(reference) == {}


def _do(operation: Any, payload: Payload, evidence: Any = None) -> None:
    with transaction.atomic():
        operation(payload, evidence=evidence, reason="test", actor=ACTOR, at=timezone.now())
