"""A reader that was down for long: whoever is waited for does not wait for the blocks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import closing

import pytest

from payments.chain import reader
from payments.models import ChainCursor, Deposit, Escrow, Journal, TonTransaction, Wallet
from payments.services import ChainBehind
from payments.ton.client import TonClient
from payments.ton.schema import ChainTransaction
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
FAR = 5


@pytest.fixture(autouse=True)
def soon_far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "FAR_BEHIND_BLOCKS", FAR)
    monkeypatch.setattr(reader, "CATCH_UP_BATCH", 2)


class AskedClient(TonClient):
    """Remembers which accounts it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def account_chain_transactions(
        self, addresses: Sequence[str], *, after_lt: int
    ) -> list[ChainTransaction]:
        self.asked.append(list(addresses))
        return super().account_chain_transactions(addresses, after_lt=after_lt)


def read_one_block(bank: Bank) -> None:
    """What a reader does after a long stop, before it has read the second block."""
    assert reader.read_new_blocks(bank.client, at_most=1) == 1


def asked_about(bank: Bank) -> list[list[str]]:
    with closing(AskedClient()) as client:
        reader.read_new_blocks(client, at_most=1)
        return client.asked


def booked() -> dict[str, int]:
    return {
        "chain transactions": TonTransaction.objects.count(),
        "deposits": Deposit.objects.count(),
        "journals": Journal.objects.count(),
    }


def test_open_deals_are_funded_ahead_of_the_blocks(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    start = ChainCursor.objects.get().seqno
    bank.chain.mine(10)
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    bank.chain.mine(10)

    read_one_block(bank)
    bank.apply_deposits()

    assert ChainCursor.objects.get().seqno == start + 1
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}


def test_the_blocks_change_nothing_afterwards(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.chain.faucet(bank.wallet(reference).address, 60 * TON)
    bank.chain.mine(10)
    bank.chain.faucet(bank.wallet(reference).address, 40 * TON)
    read_one_block(bank)
    before = booked()

    bank.read()

    assert booked() == before
    assert sorted(Deposit.objects.values_list("amount_nano", flat=True)) == [40 * TON, 60 * TON]
    assert bank.off_the_chain() == {}
    assert bank.wallet(reference).frozen_reason == ""


def test_what_comes_meanwhile_is_booked_by_its_block(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.chain.faucet(bank.wallet(reference).address, 60 * TON)
    bank.chain.mine(10)
    read_one_block(bank)

    bank.deposit(reference, 40 * TON)

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    assert Deposit.objects.count() == 2


def test_a_payout_that_landed_meanwhile_is_booked_ahead(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.execute()
    bank.chain.mine(10)

    read_one_block(bank)
    bank.execute()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.attempts(reference) == ["CONFIRMED"]
    bank.read()
    assert bank.attempts(reference) == ["CONFIRMED"]
    assert bank.off_the_chain() == {}


def test_an_attempt_is_given_up_only_when_its_blocks_are_read(bank: Bank) -> None:
    """Its account showed nothing of it; whether that is all, only the blocks say."""
    reference = bank.payout_due()
    bank.chain.fault("message", "swallow")
    bank.execute()
    bank.chain.mine(2)

    with bank.pass_time(200):
        bank.chain.mine(10)
        read_one_block(bank)
        bank.execute()
        assert bank.attempts(reference) == ["SUBMITTED"]
        bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_a_deal_does_not_expire_before_the_blocks_are_read(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    deadline_at = ChainCursor.objects.get().block_at + dt.timedelta(seconds=20)
    Escrow.objects.update(payment_deadline_at=deadline_at)

    with bank.pass_time(25):
        bank.chain.mine(10)
        ChainCursor.objects.update(block_at=deadline_at - dt.timedelta(seconds=1))
        reader.catch_up(bank.client, head_seqno=bank.chain.mine())
        with pytest.raises(ChainBehind):
            bank.close(reference, expired=True)


def test_deals_that_are_over_wait_for_their_blocks(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.close(reference)
    bank.chain.mine(2)
    bank.chain.faucet(bank.wallet(reference).address, 3 * TON)
    bank.chain.mine(10)

    read_one_block(bank)
    assert not Deposit.objects.exists()
    bank.read()

    assert Deposit.objects.get().amount_nano == 3 * TON


def test_all_that_are_waited_for_are_asked_about_in_batches(bank: Bank) -> None:
    waited_for = [bank.refundable_escrow() for _ in range(3)]
    bank.chain.mine(FAR + 1)

    asked = asked_about(bank)

    assert [len(batch) for batch in asked] == [2, 1]
    assert sorted(address for batch in asked for address in batch) == sorted(
        bank.wallet(reference).address for reference in waited_for
    )


def test_a_treasury_that_owes_gas_is_asked_about(bank: Bank) -> None:
    bank.fund_treasury()
    bank.set_payout_address()
    reference = bank.funded_escrow()
    bank.release(reference, owner_share_nano=PRICE_NANO)
    bank.execute()
    bank.chain.mine(FAR + 1)

    asked = asked_about(bank)

    assert sorted(address for batch in asked for address in batch) == sorted(
        [bank.wallet(reference).address, bank.treasury().address]
    )


def test_a_reader_that_is_not_far_behind_asks_about_no_account(bank: Bank) -> None:
    bank.refundable_escrow()
    bank.chain.mine(FAR)

    assert asked_about(bank) == []


class HalfIndexedClient(TonClient):
    """Of one account the state at a block's end is not there yet."""

    half = ""

    def account_chain_transactions(
        self, addresses: Sequence[str], *, after_lt: int
    ) -> list[ChainTransaction]:
        found = super().account_chain_transactions(addresses, after_lt=after_lt)
        return [
            tx.model_copy(update={"account_state_after": None}) if tx.account == self.half else tx
            for tx in found
        ]


def test_one_that_cannot_be_caught_up_keeps_no_other_waiting(bank: Bank) -> None:
    first, second = bank.refundable_escrow(), bank.refundable_escrow()
    start = bank.chain.mine(10)
    for reference in (first, second):
        bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    ChainCursor.objects.update(seqno=start - 10)

    with closing(HalfIndexedClient()) as client:
        client.half = bank.wallet(first).address
        reader.catch_up(client, head_seqno=bank.chain.mine())
    assert list(Deposit.objects.values_list("escrow_id", flat=True)) == [second]
    bank.read()

    assert Deposit.objects.filter(escrow_id=first).count() == 1
    assert bank.off_the_chain() == {}


def test_nothing_is_booked_of_blocks_that_came_after_the_look(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    head = bank.chain.mine(10)
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)

    reader.catch_up(bank.client, head_seqno=head)

    assert not Deposit.objects.exists()
    assert Wallet.objects.get(reference=reference).last_lt == 0
