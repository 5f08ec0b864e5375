"""More than the price: the deal gets its price, and the rest goes back or waits for a word."""

from __future__ import annotations

import pytest

from advertmarket.messaging.models import OutboxMessage
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF
from payments.models import Settlement
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
DUST_NANO = 10_000_000
TENTH_NANO = PRICE_NANO // 10
BACK = Settlement.Kind.OVERPAYMENT_REFUND


def told() -> list[tuple[int, bool]]:
    """What was told of excesses: how much, and whether an operator must agree."""
    messages = OutboxMessage.objects.filter(event_type="DEPOSIT_OVERPAID").order_by("pk")
    return [(one.payload["excess_nano"], one.payload["needs_operator"]) for one in messages]


def test_the_excess_goes_back_by_itself(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, PRICE_NANO + 3 * TON)
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO, "OVERPAYMENT": 3 * TON}

    bank.settle()

    [withheld] = bank.withheld(reference, BACK)
    assert bank.advertiser_received() == [3 * TON - withheld]
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    assert bank.escrow(reference).funded_nano == PRICE_NANO
    assert told() == [(3 * TON, False)]
    assert bank.off_the_chain() == {}


def test_its_fee_is_not_taken_from_the_price(bank: Bank) -> None:
    """The wallet still holds the price, and a little of the quote."""
    reference = bank.refundable_escrow()
    bank.deposit(reference, PRICE_NANO + 3 * TON)

    bank.settle()

    wallet = bank.wallet(reference)
    [withheld] = bank.withheld(reference, BACK)
    assert bank.chain.balance(wallet.address) == PRICE_NANO + withheld - bank.fees(wallet)
    assert withheld > bank.fees(wallet)


def test_a_tenth_of_the_price_still_goes_by_itself(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, PRICE_NANO + TENTH_NANO)

    bank.settle()

    assert len(bank.advertiser_received()) == 1
    assert told() == [(TENTH_NANO, False)]


def test_more_than_a_tenth_waits_for_an_operator(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, PRICE_NANO + TENTH_NANO + 1)

    bank.settle(turns=2)

    settlement = bank.settlement(reference, BACK)
    assert (settlement.state, settlement.waiting_for) == (
        "HELD",
        "an operator's word: far more than the price",
    )
    assert bank.attempts(reference, BACK) == []
    assert bank.advertiser_received() == []
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO, "OVERPAYMENT": TENTH_NANO + 1}
    assert told() == [(TENTH_NANO + 1, True)]
    assert OutboxMessage.objects.filter(event_type="SETTLEMENT_STUCK").count() == 1


def test_what_is_held_keeps_nobody_from_the_payout(bank: Bank) -> None:
    bank.set_payout_address()
    reference = bank.refundable_escrow()
    bank.deposit(reference, 2 * PRICE_NANO)
    bank.release(reference)

    bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.holds(reference) == {
        "OVERPAYMENT": PRICE_NANO,
        "COMMISSION": PRICE_NANO - OWNER_SHARE_NANO,
    }


@pytest.mark.parametrize("excess_nano", [1, DUST_NANO])
def test_too_little_to_give_back_is_written_off(bank: Bank, excess_nano: int) -> None:
    reference = bank.refundable_escrow()

    bank.deposit(reference, PRICE_NANO + excess_nano)

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    assert ledger.balance(DUST_WRITEOFF) == excess_nano
    assert not Settlement.objects.exists()
    assert told() == []


def test_an_excess_that_its_fee_would_eat_is_written_off(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, PRICE_NANO + DUST_NANO + 1)

    bank.settle(turns=1)

    assert bank.settlement(reference, BACK).state == "CANCELLED"
    assert bank.advertiser_received() == []
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    assert ledger.balance(DUST_WRITEOFF) == DUST_NANO + 1


def test_for_a_funded_deal_all_of_it_is_excess(bank: Bank) -> None:
    reference = bank.funded_escrow()

    bank.deposit(reference, 2 * TON)
    bank.deposit(reference, 5 * TON)
    bank.settle(turns=8)

    first, second = bank.withheld(reference, BACK)
    assert bank.advertiser_received() == [2 * TON - first, 5 * TON - second]
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    assert bank.escrow(reference).funded_nano == PRICE_NANO
    assert told() == [(2 * TON, False), (5 * TON, False)]


def test_the_price_twice_funds_the_deal_once_and_waits_for_an_operator(bank: Bank) -> None:
    reference = bank.funded_escrow()

    bank.deposit(reference)
    bank.settle(turns=2)

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO, "OVERPAYMENT": PRICE_NANO}
    assert bank.settlement(reference, BACK).state == "HELD"


def test_without_a_refund_address_the_excess_waits_and_the_deal_goes_on(bank: Bank) -> None:
    bank.set_payout_address()
    reference = bank.open_escrow()
    bank.deposit(reference, PRICE_NANO + 3 * TON)
    bank.release(reference)

    bank.settle()

    assert bank.settlement(reference, BACK).waiting_for == "a refund address"
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.holds(reference)["OVERPAYMENT"] == 3 * TON
