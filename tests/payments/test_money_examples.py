"""The worked examples of the money's design, in shape: the same accounts at every step.

What the network takes is asked of the chain, never written down here.
"""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db.models import Sum

from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, NETWORK_FEES, PLATFORM_TREASURY
from payments.models import Posting, Settlement
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
DAY_S = 24 * 3600
COMMISSION_NANO = PRICE_NANO - OWNER_SHARE_NANO
Kind = Settlement.Kind


def books(bank: Bank, reference: UUID) -> dict[str, int]:
    """The deal's accounts and the platform's, in nanoTON; empty ones are left out."""
    platform = {
        "NETWORK_FEES": network_fees(),
        "PLATFORM_TREASURY": ledger.balance(PLATFORM_TREASURY),
        "DUST_WRITEOFF": ledger.balance(DUST_WRITEOFF),
    }
    return bank.holds(reference) | {name: nano for name, nano in platform.items() if nano}


def network_fees() -> int:
    """Below zero by what the chain took, less what refunds contributed."""
    contributed, took = (
        Posting.objects.filter(**{side: NETWORK_FEES}).aggregate(sum=Sum("amount_nano"))["sum"]
        for side in ("credit", "debit")
    )
    return (contributed or 0) - (took or 0)


def taken(bank: Bank, reference: UUID) -> int:
    """What the chain took from the deal's wallet and the treasury so far, in nanoTON."""
    return bank.fees(bank.wallet(reference)) + bank.fees(bank.treasury())


def on_chain(bank: Bank, reference: UUID) -> int:
    return bank.chain.balance(bank.wallet(reference).address)


def test_1_a_happy_path_of_seven_days_and_what_came_late(bank: Bank) -> None:
    bank.set_payout_address()
    reference = bank.refundable_escrow()

    bank.pay(reference)
    assert books(bank, reference) == {"DEPOSIT_PENDING": PRICE_NANO}
    bank.apply_deposits()
    assert books(bank, reference) == {"ESCROW": PRICE_NANO}
    assert on_chain(bank, reference) == PRICE_NANO

    with bank.pass_time(7 * DAY_S):
        bank.read()
        bank.release(reference)
        owed = {"OWNER_PENDING": OWNER_SHARE_NANO, "COMMISSION": COMMISSION_NANO}
        assert books(bank, reference) == owed

        bank.settle()
        fees = taken(bank, reference)
        assert bank.owner_received() == [OWNER_SHARE_NANO]
        assert books(bank, reference) == {"COMMISSION": COMMISSION_NANO, "NETWORK_FEES": -fees}
        assert on_chain(bank, reference) == COMMISSION_NANO - fees

        bank.sweep()
        bank.settle()
        fees = taken(bank, reference)
        assert books(bank, reference) == {
            "NETWORK_FEES": -fees,
            "PLATFORM_TREASURY": COMMISSION_NANO,
        }
        [swept] = bank.received_at(bank.treasury().address)
        assert on_chain(bank, reference) + swept == COMMISSION_NANO - fees

        with bank.pass_time(3 * DAY_S):
            come_late(bank, reference)


def come_late(bank: Bank, reference: UUID) -> None:
    """1b and 1c: a late deposit after the sweep, a nano, and what its fee would eat."""
    treasury = {"PLATFORM_TREASURY": COMMISSION_NANO}
    left, fees = on_chain(bank, reference), -taken(bank, reference)
    bank.deposit(reference, TON)
    short = -taken(bank, reference)
    assert books(bank, reference) == {
        "LATE_DEPOSIT": TON,
        "NETWORK_FEES": short,
        **treasury,
    }
    assert on_chain(bank, reference) == left + TON + short - fees

    bank.settle()
    [withheld] = bank.withheld(reference, Kind.LATE_DEPOSIT_REFUND)
    assert bank.advertiser_received() == [TON - withheld]
    fees = withheld - taken(bank, reference)
    assert books(bank, reference) == {"NETWORK_FEES": fees, **treasury}

    bank.deposit(reference, 1)
    fees = withheld - taken(bank, reference)
    assert books(bank, reference) == {"NETWORK_FEES": fees, "DUST_WRITEOFF": 1, **treasury}

    bank.deposit(reference, 5_000_000)
    fees = withheld - taken(bank, reference)
    assert books(bank, reference) == {
        "NETWORK_FEES": fees,
        "DUST_WRITEOFF": 5_000_001,
        **treasury,
    }
    assert bank.off_the_chain() == {}


def test_2_underpaid_then_overpaid(bank: Bank) -> None:
    bank.set_payout_address()
    reference = bank.refundable_escrow()

    bank.pay(reference, 60 * TON)
    assert books(bank, reference) == {"DEPOSIT_PENDING": 60 * TON}
    bank.apply_deposits()
    assert books(bank, reference) == {"PARTIAL_DEPOSIT": 60 * TON}

    with bank.pass_time(2 * 3600):
        bank.deposit(reference, 30 * TON)
        fees = -taken(bank, reference)
        assert books(bank, reference) == {"PARTIAL_DEPOSIT": 90 * TON, "NETWORK_FEES": fees}
        assert on_chain(bank, reference) == 90 * TON + fees

        with bank.pass_time(3 * 3600):
            bank.deposit(reference, 20 * TON)
            fees = -taken(bank, reference)
            assert books(bank, reference) == {
                "ESCROW": PRICE_NANO,
                "OVERPAYMENT": 10 * TON,
                "NETWORK_FEES": fees,
            }

            bank.settle()
            [withheld] = bank.withheld(reference, Kind.OVERPAYMENT_REFUND)
            fees = withheld - taken(bank, reference)
            assert bank.advertiser_received() == [10 * TON - withheld]
            assert books(bank, reference) == {"ESCROW": PRICE_NANO, "NETWORK_FEES": fees}
            assert on_chain(bank, reference) == PRICE_NANO + fees
            assert fees > 0

            bank.release(reference)
            bank.settle()
            bank.sweep()
            bank.settle()
            fees = withheld - taken(bank, reference)
            assert bank.owner_received() == [OWNER_SHARE_NANO]
            assert books(bank, reference) == {
                "NETWORK_FEES": fees,
                "PLATFORM_TREASURY": COMMISSION_NANO,
            }
    assert bank.off_the_chain() == {}


def test_3_half_and_half(bank: Bank) -> None:
    reference = bank.split_due()
    owed = {"OWNER_PENDING": 45 * TON, "COMMISSION": 5 * TON}
    assert books(bank, reference) == {"REFUND_PENDING": 50 * TON, **owed}

    bank.settle(turns=8)
    [withheld] = bank.withheld(reference, Kind.REFUND)
    fees = withheld - taken(bank, reference)
    assert bank.advertiser_received() == [50 * TON - withheld]
    assert bank.owner_received() == [45 * TON]
    assert books(bank, reference) == {"COMMISSION": 5 * TON, "NETWORK_FEES": fees}
    assert on_chain(bank, reference) == 5 * TON + fees

    bank.sweep()
    bank.settle()
    fees = withheld - taken(bank, reference)
    assert books(bank, reference) == {"PLATFORM_TREASURY": 5 * TON, "NETWORK_FEES": fees}
    [swept] = bank.received_at(bank.treasury().address)
    assert on_chain(bank, reference) + swept == 5 * TON + fees
    assert bank.off_the_chain() == {}


def test_4_cancelled_when_funded(bank: Bank) -> None:
    reference = bank.funded_escrow()
    with bank.pass_time(5 * DAY_S):
        bank.read()
        bank.refund(reference)
        assert books(bank, reference) == {"REFUND_PENDING": PRICE_NANO}

        bank.settle()

    [withheld] = bank.withheld(reference, Kind.REFUND)
    rest = withheld - taken(bank, reference)
    assert bank.advertiser_received() == [PRICE_NANO - withheld]
    assert books(bank, reference) == {"NETWORK_FEES": rest}
    assert on_chain(bank, reference) == rest > 0
    assert bank.off_the_chain() == {}
