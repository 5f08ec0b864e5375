"""Less than the price: it waits for the rest, and goes back when that does not come."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.messaging.models import OutboxMessage
from payments import escrows, services
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF
from payments.chain import reader
from payments.deposits import partials
from payments.models import Deposit, Escrow, Journal, Settlement
from payments.selectors import given_back_nano
from tests.payments.bank import PRICE_NANO, Bank
from tests.payments.contracts import deploy_refuser
from tests.payments.lines import before, line_of
from tests.payments.threads import Meanwhile, elsewhere

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
DAY_S = 24 * 3600
BACK = Settlement.Kind.PARTIAL_DEPOSIT_REFUND


def told_partial() -> list[tuple[int, int]]:
    """What the advertiser was told: received, missing."""
    told = OutboxMessage.objects.filter(event_type="DEPOSIT_PARTIAL").order_by("pk")
    return [(one.payload["received_nano"], one.payload["missing_nano"]) for one in told]


# --- the rest comes -------------------------------------------------------------------------------


def test_the_advertiser_is_told_what_is_missing(bank: Bank) -> None:
    reference = bank.refundable_escrow()

    bank.deposit(reference, 60 * TON)
    bank.deposit(reference, 30 * TON)

    assert told_partial() == [(60 * TON, 40 * TON), (90 * TON, 10 * TON)]
    assert bank.holds(reference) == {"PARTIAL_DEPOSIT": 90 * TON}


def test_the_rest_funds_the_deal(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)

    bank.deposit(reference, 40 * TON)

    escrow = bank.escrow(reference)
    assert (escrow.state, escrow.funded_nano) == ("FUNDED", PRICE_NANO)
    assert escrow.partial_since_at is None
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    assert [one.rule for one in Deposit.objects.order_by("pk")] == [
        "below the price",
        "funds the deal",
    ]
    assert not Settlement.objects.exists()


def test_the_rest_may_be_short_by_the_tolerance_once(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)

    bank.deposit(reference, 40 * TON - 1_000_000)

    assert bank.escrow(reference).funded_nano == PRICE_NANO - 1_000_000
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO - 1_000_000}


def test_a_rest_that_is_still_short_waits_on(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)

    bank.deposit(reference, 40 * TON - 1_000_001)

    assert bank.escrow(reference).state == "AWAITING"
    assert told_partial()[-1] == (PRICE_NANO - 1_000_001, 1_000_001)


def test_more_than_the_rest_goes_back(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)

    bank.deposit(reference, 50 * TON)

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO, "OVERPAYMENT": 10 * TON}
    bank.settle()
    [withheld] = bank.withheld(reference, Settlement.Kind.OVERPAYMENT_REFUND)
    assert bank.advertiser_received() == [10 * TON - withheld]
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}


def test_two_parts_in_one_block_fund_once(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    address = bank.wallet(reference).address
    bank.pay_at_once([(address, 30 * TON), (address, 70 * TON)])
    bank.read()

    bank.apply_deposits()

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    assert Journal.objects.filter(kind=Journal.Kind.PARTIAL_PROMOTE).count() == 1


# --- it does not come -----------------------------------------------------------------------------


def test_after_a_day_all_of_it_goes_back(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)
    bank.deposit(reference, 20 * TON)

    with bank.pass_time(DAY_S + 5):
        bank.return_stale_partials()
        bank.settle()

    [withheld] = bank.withheld(reference, BACK)
    assert bank.advertiser_received() == [80 * TON - withheld]
    assert bank.holds(reference) == {}
    assert bank.attempts(reference, BACK) == ["CONFIRMED"]
    assert bank.off_the_chain() == {}


def test_before_its_day_it_stays(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)

    with bank.pass_time(DAY_S - 60):
        bank.return_stale_partials()

    assert bank.holds(reference) == {"PARTIAL_DEPOSIT": 60 * TON}
    assert not Settlement.objects.exists()


def test_the_day_counts_from_the_first_part(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)
    since_at = bank.escrow(reference).partial_since_at

    bank.deposit(reference, 20 * TON)

    assert bank.escrow(reference).partial_since_at == since_at


def test_returned_twice_it_is_owed_once(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)

    with bank.pass_time(DAY_S + 5):
        [stale] = partials.stale_partials(at=timezone.now())
        for _ in range(2):
            with transaction.atomic():
                partials.return_stale_partial(escrow=stale, at=timezone.now())

    assert bank.settlement(reference, BACK).amount_nano == 60 * TON


def test_a_rest_that_still_confirms_keeps_the_first_part(bank: Bank) -> None:
    reference = bank.refundable_escrow(500 * TON)
    bank.deposit(reference, 300 * TON)

    with bank.pass_time(DAY_S + 5):
        bank.pay(reference, 200 * TON)
        assert bank.holds(reference) == {
            "PARTIAL_DEPOSIT": 300 * TON,
            "DEPOSIT_PENDING": 200 * TON,
        }
        bank.return_stale_partials()
        bank.read()
        bank.read()
        bank.apply_deposits()

    assert bank.holds(reference) == {"ESCROW": 500 * TON}
    assert not Settlement.objects.exists()


@pytest.mark.parametrize("expired", [False, True])
def test_when_the_deal_ends_it_goes_back(bank: Bank, expired: bool) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)

    bank.close(reference, expired=expired)
    bank.settle()

    assert bank.escrow(reference).state == ("EXPIRED" if expired else "CLOSED")
    [withheld] = bank.withheld(reference, BACK)
    assert bank.advertiser_received() == [60 * TON - withheld]
    assert bank.holds(reference) == {}


def test_a_part_that_confirms_when_the_deal_ends_is_a_late_one(bank: Bank) -> None:
    reference = bank.refundable_escrow(500 * TON)
    bank.pay(reference, 300 * TON)

    bank.close(reference)
    bank.read()
    bank.read()
    bank.apply_deposits()

    assert bank.holds(reference) == {"LATE_DEPOSIT": 300 * TON}
    bank.settle()
    assert len(bank.advertiser_received()) == 1


def test_a_part_too_small_to_give_back_is_written_off(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 10_000_000)

    bank.close(reference)

    assert bank.holds(reference) == {}
    assert ledger.balance(DUST_WRITEOFF) == 10_000_000
    assert not Settlement.objects.exists()


def test_a_part_that_its_fee_would_eat_is_written_off(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.deposit(reference, 10_000_001)

    bank.close(reference)
    bank.settle(turns=1)

    assert bank.settlement(reference, BACK).state == "CANCELLED"
    assert ledger.balance(DUST_WRITEOFF) == 10_000_001
    assert bank.holds(reference) == {}


# --- one comes while another goes back ------------------------------------------------------------


def going_back(bank: Bank, nano: int = 60 * TON) -> Escrow:
    """A deal that still awaits its price, and whose first part is owed back."""
    reference = bank.refundable_escrow()
    bank.deposit(reference, nano)
    Escrow.objects.update(partial_since_at=timezone.now() - partials.PARTIAL_FOR)
    bank.return_stale_partials()
    return bank.escrow(reference)


@pytest.mark.parametrize("turns", [0, 1, 2, 6])
def test_what_goes_back_counts_no_more_towards_the_price(bank: Bank, turns: int) -> None:
    """Queued, signed, landed or arrived."""
    reference = going_back(bank).reference
    for _ in range(turns):
        bank.execute()
        bank.read()

    bank.deposit(reference, 40 * TON)

    assert bank.escrow(reference).state == "AWAITING"
    assert told_partial()[-1] == (40 * TON, 60 * TON)


@pytest.mark.parametrize("turns", [0, 1, 2, 6])
def test_the_whole_price_funds_the_deal_wherever_the_first_part_is(bank: Bank, turns: int) -> None:
    reference = going_back(bank).reference
    for _ in range(turns):
        bank.execute()
        bank.read()

    bank.deposit(reference)

    assert bank.escrow(reference).funded_nano == PRICE_NANO
    assert bank.holds(reference)["ESCROW"] == PRICE_NANO
    bank.settle()
    assert len(bank.advertiser_received()) == 1
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_deal_that_is_paid_while_a_part_goes_back_cannot_be_closed(
    bank: Bank, turns: int
) -> None:
    reference = going_back(bank).reference
    for _ in range(turns):
        bank.execute()
        bank.read()
    bank.pay(reference)

    with pytest.raises(services.EscrowNotEmpty):
        bank.close(reference)


def test_a_second_part_goes_back_after_the_first(bank: Bank) -> None:
    reference = going_back(bank).reference
    bank.deposit(reference, 30 * TON)

    bank.close(reference)
    assert Settlement.objects.count() == 1
    bank.settle()
    bank.return_stale_partials()
    bank.settle()

    first, second = bank.withheld(reference, BACK)
    assert bank.advertiser_received() == [60 * TON - first, 30 * TON - second]
    assert bank.holds(reference) == {}
    assert bank.escrow(reference).partial_since_at is None


def test_what_a_deals_end_gives_back_is_known_before_and_after_it_has_arrived(bank: Bank) -> None:
    reference = going_back(bank).reference
    bank.deposit(reference, 30 * TON)
    assert given_back_nano(reference) == 0

    bank.close(reference)
    known = [given_back_nano(reference)]
    bank.settle()
    bank.return_stale_partials()
    known.append(given_back_nano(reference))
    bank.settle()

    assert [*known, given_back_nano(reference)] == [30 * TON] * 3
    assert len(bank.advertiser_received()) == 2


def test_a_first_part_that_came_back_is_not_the_second_ones(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.set_refund_address(reference, deploy_refuser(bank))
    bank.deposit(reference, 60 * TON)
    Escrow.objects.update(partial_since_at=timezone.now() - partials.PARTIAL_FOR)
    bank.return_stale_partials()
    bank.settle()
    assert bank.settlement(reference, BACK).state == "HELD"

    bank.deposit(reference, 40 * TON)

    assert bank.escrow(reference).state == "AWAITING"
    assert bank.holds(reference) == {"PARTIAL_DEPOSIT": PRICE_NANO}
    assert told_partial()[-1] == (40 * TON, 60 * TON)


# --- beside the reader ----------------------------------------------------------------------------


def coming_back(bank: Bank) -> UUID:
    """Unread blocks bring a returned part back from a contract; the price is there, undecided."""
    reference = bank.open_escrow()
    bank.set_refund_address(reference, deploy_refuser(bank))
    bank.deposit(reference, 60 * TON)
    Escrow.objects.update(partial_since_at=timezone.now() - partials.PARTIAL_FOR)
    bank.return_stale_partials()
    bank.execute()
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    bank.chain.mine(4)
    reader.read_new_blocks(bank.client, at_most=1)
    assert bank.attempts(reference, BACK) == ["LANDED"]
    assert bank.holds(reference) == {"DEPOSIT_PENDING": PRICE_NANO}
    return reference


LOOKED_AT_THE_BALANCE = line_of(partials.partial_nano, "returning = ")


def test_a_return_that_comes_back_between_two_looks_hides_no_payment(bank: Bank) -> None:
    reference = coming_back(bank)

    coming = Meanwhile(bank.read)
    with before(LOOKED_AT_THE_BALANCE, coming):
        bank.apply_deposits()
    coming.result()

    assert bank.attempts(reference, BACK) == ["BOUNCED"]
    assert bank.escrow(reference).funded_nano == PRICE_NANO
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO, "PARTIAL_DEPOSIT": 60 * TON}


def test_without_the_lock_the_price_would_be_taken_for_a_part(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    reference = coming_back(bank)
    monkeypatch.setattr(escrows, "lock_escrow", lambda ref: Escrow.objects.get(reference=ref))

    with before(LOOKED_AT_THE_BALANCE, lambda: elsewhere(bank.read)):
        bank.apply_deposits()

    assert bank.attempts(reference, BACK) == ["BOUNCED"]
    assert bank.escrow(reference).state == "AWAITING"
