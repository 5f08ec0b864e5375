"""The platform's own money on the chain: sweeps, gas for wallets that lack it, withdrawals."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.selectors import Destination
from advertmarket.messaging.models import OutboxMessage
from payments.books import ledger
from payments.books.chart import IN_TRANSIT, PLATFORM_TREASURY, PerWallet
from payments.models import Journal, Posting, Settlement
from payments.operations import books
from payments.sending import executor as executor_module
from payments.sending import settlements
from payments.sending.settlements import TREASURY_REFERENCE
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import ACTOR, OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.owing import payout_without_gas

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
DUST_NANO = 10_000_000
COMMISSION_NANO = PRICE_NANO - OWNER_SHARE_NANO
Kind = Settlement.Kind


def in_transit() -> int:
    """What is between own wallets, in nanoTON: it left one and did not reach the other."""
    rows = Posting.objects.filter(debit=IN_TRANSIT) | Posting.objects.filter(credit=IN_TRANSIT)
    return sum(row.amount_nano * (1 if row.debit == IN_TRANSIT else -1) for row in rows)


def paid_out(bank: Bank) -> UUID:
    reference = bank.payout_due()
    bank.settle()
    return reference


# --- sweeps ---------------------------------------------------------------------------------------


def test_the_commission_goes_to_the_treasury(bank: Bank) -> None:
    reference = paid_out(bank)
    in_wallet = bank.chain.balance(bank.wallet(reference).address)

    bank.sweep()
    bank.settle()

    assert bank.settlement(reference, Kind.COMMISSION_SWEEP).state == "CONFIRMED"
    [swept] = bank.received_at(bank.treasury().address)
    assert in_wallet - 4_000_000 < swept < in_wallet
    assert bank.holds(reference) == {}
    assert ledger.balance(PLATFORM_TREASURY) == COMMISSION_NANO
    assert in_transit() == 0
    assert bank.off_the_chain() == {}


def test_what_stays_in_a_swept_wallet_is_the_rest_of_its_quote(bank: Bank) -> None:
    reference = paid_out(bank)

    bank.sweep()
    bank.settle()

    wallet = bank.wallet(reference)
    [swept] = bank.received_at(bank.treasury().address)
    left = PRICE_NANO - OWNER_SHARE_NANO - swept - bank.fees(wallet)
    assert bank.chain.balance(wallet.address) == left
    assert 0 < left < 1_000_000


def test_on_its_way_it_is_in_transit(bank: Bank) -> None:
    reference = paid_out(bank)
    bank.sweep()
    bank.execute()
    bank.read()

    [attempt] = bank.settlement(reference, Kind.COMMISSION_SWEEP).chain_transactions.all()
    assert attempt.state == "LANDED"
    assert in_transit() == attempt.sent_nano
    assert bank.received_at(bank.treasury().address) == []
    assert ledger.balance(PLATFORM_TREASURY) == COMMISSION_NANO
    bank.settle()
    assert in_transit() == 0


def test_swept_money_is_nobodys_deposit(bank: Bank) -> None:
    paid_out(bank)
    bank.sweep()

    bank.settle()

    assert ledger.balance(PerWallet.UNSOLICITED.of(0)) == 0
    assert OutboxMessage.objects.filter(event_type="DEPOSIT_SEEN").count() == 1


def test_a_wallet_is_swept_once(bank: Bank) -> None:
    reference = paid_out(bank)

    for _ in range(3):
        bank.sweep()
        bank.settle(turns=3)

    assert bank.attempts(reference, Kind.COMMISSION_SWEEP) == ["CONFIRMED"]
    assert ledger.balance(PLATFORM_TREASURY) == COMMISSION_NANO


def unpaid_owner(bank: Bank) -> UUID:
    reference = bank.funded_escrow()
    bank.release(reference)
    return reference


def held_excess(bank: Bank) -> UUID:
    reference = bank.funded_escrow()
    bank.deposit(reference)
    bank.set_payout_address()
    bank.release(reference)
    bank.settle()
    return reference


def undecided_deposit(bank: Bank) -> UUID:
    reference = paid_out(bank)
    bank.pay(reference, 2 * TON)
    return reference


@pytest.mark.parametrize("owing", [unpaid_owner, held_excess, undecided_deposit])
def test_a_wallet_that_owes_something_is_not_swept(
    bank: Bank, owing: Callable[[Bank], UUID]
) -> None:
    reference = owing(bank)

    bank.sweep()

    assert not Settlement.objects.filter(kind=Kind.COMMISSION_SWEEP).exists()
    assert bank.holds(reference)["COMMISSION"] == COMMISSION_NANO


def test_a_sweep_waits_for_what_came_after_it_was_owed(bank: Bank) -> None:
    reference = paid_out(bank)
    bank.sweep()
    bank.deposit(reference, 2 * TON)

    bank.execute()
    sweep = bank.settlement(reference, Kind.COMMISSION_SWEEP)
    assert (sweep.state, sweep.attempts) == ("QUEUED", 0)
    bank.settle(turns=8)

    [withheld] = bank.withheld(reference, Kind.LATE_DEPOSIT_REFUND)
    assert bank.advertiser_received() == [2 * TON - withheld]
    assert bank.settlement(reference, Kind.COMMISSION_SWEEP).state == "CONFIRMED"
    assert bank.holds(reference) == {}
    assert bank.off_the_chain() == {}


def test_a_commission_that_its_fee_would_eat_stays(bank: Bank) -> None:
    bank.set_payout_address()
    reference = bank.funded_escrow()
    bank.release(reference, owner_share_nano=PRICE_NANO - DUST_NANO - 1)
    bank.settle()

    bank.sweep()
    bank.settle(turns=1)

    sweep = bank.settlement(reference, Kind.COMMISSION_SWEEP)
    assert (sweep.state, sweep.attempts) == ("CANCELLED", 0)
    assert bank.holds(reference) == {"COMMISSION": DUST_NANO + 1}
    assert ledger.balance(PLATFORM_TREASURY) == 0
    assert not Journal.objects.filter(kind=Journal.Kind.DUST_WRITEOFF).exists()


# --- gas ------------------------------------------------------------------------------------------


def test_where_there_is_no_commission_the_treasury_pays_the_gas(bank: Bank) -> None:
    bank.fund_treasury(5 * TON)
    reference = payout_without_gas(bank)

    bank.settle(turns=8)

    top_up = bank.settlement(reference, Kind.GAS_TOPUP)
    wallet, treasury = bank.wallet(reference), bank.treasury()
    assert bank.owner_received() == [PRICE_NANO]
    assert bank.received_at(wallet.address) == [PRICE_NANO, top_up.amount_nano]
    assert bank.chain.balance(wallet.address) == top_up.amount_nano - bank.fees(wallet)
    assert bank.chain.balance(treasury.address) == 5 * TON - top_up.amount_nano - bank.fees(
        treasury
    )
    assert bank.holds(reference) == {}
    assert in_transit() == 0
    assert bank.off_the_chain() == {}


def test_gas_is_no_deposit_of_the_deal(bank: Bank) -> None:
    bank.fund_treasury()
    reference = payout_without_gas(bank)

    bank.settle(turns=8)

    assert bank.escrow(reference).deposits.count() == 1
    assert OutboxMessage.objects.filter(event_type="DEPOSIT_SEEN").count() == 1


def test_gas_is_sent_once_however_often_it_is_missed(bank: Bank) -> None:
    bank.fund_treasury()
    reference = payout_without_gas(bank)

    for _ in range(4):
        bank.execute()
    bank.settle(turns=8)

    assert bank.attempts(reference, Kind.GAS_TOPUP) == ["CONFIRMED"]
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_without_gas_in_the_treasury_both_wait_and_it_is_told_once(bank: Bank) -> None:
    reference = payout_without_gas(bank)
    bank.settle(turns=3)

    top_up = bank.settlement(reference, Kind.GAS_TOPUP)
    assert (top_up.state, bank.settlement(reference).state) == ("QUEUED", "QUEUED")
    assert f"nanoTON more in the treasury, {bank.treasury().address}" in top_up.waiting_for
    stuck = OutboxMessage.objects.get(event_type="SETTLEMENT_STUCK")
    assert stuck.payload["reason"] == "the treasury cannot pay"
    assert bank.owner_received() == []
    bank.fund_treasury()
    bank.settle(turns=8)
    assert bank.owner_received() == [PRICE_NANO]


def test_a_wallet_that_lacks_more_than_a_fee_is_for_an_operator(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_module, "MAX_TOP_UP_NANO", 1)
    bank.fund_treasury()
    reference = payout_without_gas(bank)

    bank.settle(turns=2)

    settlement = bank.settlement(reference)
    assert (settlement.state, settlement.waiting_for) == (
        "NEEDS_OPERATOR",
        "the wallet lacks more than a fee",
    )
    assert not Settlement.objects.filter(kind=Kind.GAS_TOPUP).exists()


def quote(bank: Bank, reference: UUID) -> int:
    """What the payout's fee is quoted at, with the wallet as it is now."""
    settlement = Settlement.objects.select_related("wallet").get(
        reference=reference, kind=Kind.PAYOUT
    )
    at = Destination(bank.owner.raw_address, "")
    return bank.executor()._look(settlement, at).quote_nano


def refunded_part(bank: Bank, commission_nano: int) -> UUID:
    """A split whose refund has left, and whose payout still waits for an address."""
    reference = bank.funded_escrow()
    bank.split(reference, 10 * commission_nano)
    bank.settle(turns=4)
    assert len(bank.holds(reference)) == 2
    return reference


def test_a_little_gas_is_more_than_its_receipt_costs(bank: Bank) -> None:
    """What arrives at a deployed wallet pays for its own gas: a few thousand nano are eaten."""
    bank.fund_treasury()
    first = refunded_part(bank, commission_nano=TON)
    left_by_the_refund = bank.wallet(first).balance_nano - 10 * TON
    commission_nano = quote(bank, first) - left_by_the_refund - 30_000
    reference = refunded_part(bank, commission_nano)

    bank.set_payout_address()
    bank.settle(turns=10)

    assert bank.attempts(reference, Kind.GAS_TOPUP) == ["CONFIRMED"]
    assert bank.settlement(reference).state == "CONFIRMED"
    assert 9 * commission_nano in bank.owner_received()


def test_the_treasury_sends_gas_to_several_deals_one_after_the_other(bank: Bank) -> None:
    bank.fund_treasury()
    first, second = payout_without_gas(bank), payout_without_gas(bank)

    bank.settle(turns=12)

    assert bank.owner_received() == [PRICE_NANO, PRICE_NANO]
    assert bank.treasury().expected_seqno == 2
    assert bank.off_the_chain() == {}
    assert {bank.settlement(one).state for one in (first, second)} == {"CONFIRMED"}


def test_gas_that_comes_back_is_held(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node takes the wallet for deployed, so that the transfer may come back; and it does."""
    bank.fund_treasury()
    reference = payout_without_gas(bank)
    monkeypatch.setattr(bank.api, "is_active", lambda address: True)

    bank.settle()

    gas = bank.settlement(reference, Kind.GAS_TOPUP)
    assert (gas.state, gas.waiting_for) == ("HELD", settlements.SENT_BACK)
    assert in_transit() == 0
    assert ledger.balance(PerWallet.BOUNCED.of(0)) == 0
    assert bank.owner_received() == []


# --- withdrawals ----------------------------------------------------------------------------------


@pytest.fixture
def cold(settings: Settings) -> PersonsWallet:
    """The cold wallet that the installation names."""
    wallet = PersonsWallet(f"cold {uuid4()}")
    settings.TREASURY_COLD_ADDRESS = wallet.raw_address
    return wallet


def withdraw(nano: int, to: PersonsWallet) -> None:
    with transaction.atomic():
        books.withdraw(
            books.AWithdrawal(nano=nano, address=to.raw_address),
            evidence=None,
            reason="to the cold wallet",
            actor=ACTOR,
            at=timezone.now(),
        )


def test_the_treasury_is_withdrawn_to_the_nano(bank: Bank, cold: PersonsWallet) -> None:
    paid_out(bank)
    bank.sweep()
    bank.settle()
    [swept] = bank.received_at(bank.treasury().address)

    withdraw(3 * TON, cold)
    bank.settle()

    treasury = bank.treasury()
    assert bank.received_at(cold.raw_address) == [3 * TON]
    assert bank.chain.balance(treasury.address) == swept - 3 * TON - bank.fees(treasury)
    assert ledger.balance(PLATFORM_TREASURY) == COMMISSION_NANO - 3 * TON
    withdrawal = Settlement.objects.get(kind=Kind.TREASURY_WITHDRAWAL)
    assert (withdrawal.state, withdrawal.reference) == ("CONFIRMED", TREASURY_REFERENCE)
    assert bank.off_the_chain() == {}


def test_more_than_the_treasury_has_is_waited_for(bank: Bank, cold: PersonsWallet) -> None:
    """An overspend would answer "ok", burn the seqno and send nothing."""
    bank.fund_treasury(2 * TON)
    with transaction.atomic():
        settlements.owe(
            kind=Kind.TREASURY_WITHDRAWAL,
            reference=TREASURY_REFERENCE,
            wallet=bank.treasury(),
            destination=cold.raw_address,
            amount_nano=2 * TON,
            at=timezone.now(),
        )

    bank.settle(turns=2)

    withdrawal = Settlement.objects.get(kind=Kind.TREASURY_WITHDRAWAL)
    assert (withdrawal.state, withdrawal.attempts) == ("QUEUED", 0)
    assert "nanoTON more in the treasury" in withdrawal.waiting_for
    assert bank.received_at(cold.raw_address) == []
    assert bank.chain.balance(bank.treasury().address) == 2 * TON
