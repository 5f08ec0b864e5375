"""The chain reader: no gap, nothing twice, and every nano as the chain has it."""

from __future__ import annotations

import datetime as dt
import random
from contextlib import closing
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from advertmarket.money import NANO_PER_TON
from payments.books import ledger
from payments.books.chart import NETWORK_FEES, PerDeal, PerWallet
from payments.chain import booking, reader
from payments.models import ChainCursor, Deposit, Escrow, Journal, Posting, TonTransaction, Wallet
from payments.ton import client as client_module
from payments.ton.client import TonClient, TonUnavailable
from payments.ton.schema import Block, ChainTransaction, ChainTransactions, Shown
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.waiting import wait_until

TON = 1_000_000_000


def read(bank: Bank, *, at_most: int = 1000) -> int:
    return reader.read_new_blocks(bank.client, at_most=at_most)


def cursor() -> int:
    return ChainCursor.objects.get().seqno


def amounts(reference: UUID) -> list[int]:
    """The deposits of an escrow, in the order of the chain."""
    deposits = Deposit.objects.filter(escrow=reference).order_by("chain_transaction__lt")
    return list(deposits.values_list("amount_nano", flat=True))


def deposit(bank: Bank, reference: UUID, *nano: int) -> None:
    """Payments that land in a block each, and are not read yet."""
    for one in nano:
        bank.chain.faucet(bank.wallet(reference).address, one)


# --- no gap ---------------------------------------------------------------------------------------


def test_the_first_call_places_the_cursor_at_the_head(bank: Bank) -> None:
    ChainCursor.objects.all().delete()
    head = bank.chain.mine()

    assert read(bank) == 0

    assert cursor() == head


def test_every_block_is_read_in_turn(bank: Bank) -> None:
    reference = bank.open_escrow()
    start = cursor()
    deposit(bank, reference, 1 * TON, 2 * TON, 3 * TON)

    assert read(bank) == 3

    assert cursor() == start + 3
    assert amounts(reference) == [1 * TON, 2 * TON, 3 * TON]


def test_a_block_that_is_not_indexed_is_waited_for(bank: Bank) -> None:
    """It is answered 200 with an empty list, as is every block that holds nothing for us."""
    reference = bank.open_escrow()
    start = cursor()
    deposit(bank, reference, PRICE_NANO)
    bank.chain.fault("transactionsByMasterchainBlock", "unindexed")

    assert read(bank) == 0
    assert cursor() == start
    assert read(bank) == 1

    assert amounts(reference) == [PRICE_NANO]


def test_a_block_not_indexed_behind_others_stops_there(bank: Bank) -> None:
    reference = bank.open_escrow()
    start = cursor()
    deposit(bank, reference, 1 * TON, 2 * TON)
    assert read(bank, at_most=1) == 1
    bank.chain.fault("transactionsByMasterchainBlock", "unindexed")

    read(bank)

    assert cursor() == start + 1
    assert amounts(reference) == [1 * TON]


class HalfIndexedClient(TonClient):
    """Its indexer has a block's chain transactions, and not yet the states that they left."""

    def whole(self, shown: Shown) -> ChainTransaction:
        return super().whole(shown).model_copy(update={"account_state_after": None})


def test_a_block_whose_end_is_not_shown_is_waited_for(bank: Bank) -> None:
    """Without the balance that it left, nothing would say that a deposit was overlooked."""
    reference = bank.open_escrow()
    start = cursor()
    deposit(bank, reference, PRICE_NANO)

    with (
        closing(HalfIndexedClient()) as half_indexed,
        pytest.raises(TonUnavailable, match="after the block is not shown"),
    ):
        reader.read_new_blocks(half_indexed, at_most=1000)
    assert (cursor(), amounts(reference)) == (start, [])
    read(bank)

    assert amounts(reference) == [PRICE_NANO]


def test_what_is_booked_already_is_passed_over(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.pay(reference, 5)
    wallet = bank.wallet(reference)
    [again] = bank.client.account_chain_transactions([wallet.address], after_lt=0)

    with transaction.atomic():
        booking.book(wallet=wallet, tx=again, at=timezone.now())

    assert amounts(reference) == [5]
    assert bank.wallet(reference).balance_nano == 5


@pytest.mark.parametrize("chain", [["--indexer-lag-ms=700"]], indirect=True)
def test_an_indexer_that_lags_is_not_overtaken(bank: Bank) -> None:
    wait_until(lambda: not read(bank) and Wallet.objects.count() > 1)
    reference = bank.open_escrow()
    deposit(bank, reference, PRICE_NANO)

    def read_on() -> bool:
        read(bank)
        return Deposit.objects.exists()

    assert not read_on()
    wait_until(read_on)

    assert amounts(reference) == [PRICE_NANO]


def test_a_reader_that_restarts_goes_on_where_it_was(bank: Bank) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, 1 * TON, 2 * TON, 3 * TON, 4 * TON)
    read(bank, at_most=2)

    with closing(TonClient()) as restarted:
        reader.read_new_blocks(restarted, at_most=1000)

    assert amounts(reference) == [1 * TON, 2 * TON, 3 * TON, 4 * TON]


def test_asked_to_stop_it_finishes_the_block_in_hand(bank: Bank) -> None:
    start = cursor()
    bank.chain.mine(3)
    asked = iter([False, True])

    done = reader.read_new_blocks(bank.client, at_most=1000, should_stop=lambda: next(asked))

    assert (done, cursor()) == (1, start + 1)


def test_what_was_booked_before_the_chain_went_away_stays_booked(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, 1 * TON, 2 * TON, 3 * TON)
    answered = 0

    class FailingClient(TonClient):
        def block_chain_transactions(self, seqno: int) -> list[Shown]:
            nonlocal answered
            answered += 1
            if answered == 3:
                raise TonUnavailable(reason="gone")
            return super().block_chain_transactions(seqno)

    with closing(FailingClient()) as failing, pytest.raises(TonUnavailable):
        reader.read_new_blocks(failing, at_most=1000)
    assert amounts(reference) == [1 * TON, 2 * TON]

    read(bank)

    assert amounts(reference) == [1 * TON, 2 * TON, 3 * TON]


def test_a_reader_that_was_down_catches_up(bank: Bank) -> None:
    first, second = bank.open_escrow(), bank.open_escrow()
    for number in range(1, 11):
        deposit(bank, first, number)
        bank.chain.mine(5)
        deposit(bank, second, number * 2)

    assert read(bank) == 70

    assert amounts(first) == list(range(1, 11))
    assert amounts(second) == list(range(2, 21, 2))


# --- many in one block ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 2, 3, 7, 9])
def test_the_border_of_a_page_loses_nothing(
    bank: Bank, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block holds 7 chain transactions: 5 deposits and the masterchain's two."""
    monkeypatch.setattr(client_module, "PAGE", page)
    reference = bank.open_escrow()
    address = bank.wallet(reference).address
    block = bank.pay_at_once([(address, number) for number in range(1, 6)])
    assert len(bank.client.block_chain_transactions(block)) == 7

    read(bank)

    assert sorted(amounts(reference)) == [1, 2, 3, 4, 5]


# --- what is no deposit ---------------------------------------------------------------------------


def test_money_for_a_wallet_in_stock_is_nobodys(bank: Bank) -> None:
    stock = Wallet.objects.filter(reference=None, subwallet__gt=0).order_by("subwallet")[0]
    bank.chain.faucet(stock.address, 5 * TON)

    bank.read()

    assert ledger.balance(PerWallet.UNSOLICITED.of(stock.subwallet)) == 5 * TON
    assert not Deposit.objects.exists()
    assert bank.wallet(bank.open_escrow()).subwallet != stock.subwallet


def test_money_for_the_treasury_is_nobodys(bank: Bank) -> None:
    treasury = Wallet.objects.get(subwallet=0)
    bank.chain.faucet(treasury.address, 5 * TON)

    bank.read()

    assert ledger.balance(PerWallet.UNSOLICITED.of(0)) == 5 * TON
    assert not Deposit.objects.exists()


def test_a_strangers_transfers_are_not_booked(bank: Bank) -> None:
    bank.chain.faucet(PersonsWallet("a stranger").address, 5 * TON)

    bank.read()

    assert not TonTransaction.objects.exists()


def test_a_payment_that_bounces_is_no_deposit(bank: Bank) -> None:
    """A bounceable transfer to a wallet that is not deployed yet goes back to its sender."""
    reference = bank.open_escrow()
    wallet = bank.wallet(reference)
    bank.chain.faucet(wallet.address, PRICE_NANO, bounce=True)

    bank.read()

    row = TonTransaction.objects.get(wallet=wallet)
    assert (row.received_nano, row.sent_nano) == (0, 0)
    assert bank.wallet(reference).balance_nano == bank.chain.balance(wallet.address) == 0
    assert amounts(reference) == []
    assert bank.wallet(reference).frozen_reason == ""


def test_a_payment_after_one_that_bounced_is_a_deposit(bank: Bank) -> None:
    """The bounce left no account behind: its history begins anew, at 0."""
    reference = bank.open_escrow()
    address = bank.wallet(reference).address
    bank.chain.faucet(address, PRICE_NANO, bounce=True)
    bank.read()

    deposit(bank, reference, PRICE_NANO)
    bank.read()

    assert bank.chain.transactions(address)[-1]["prev_trans_lt"] == "0"
    assert amounts(reference) == [PRICE_NANO]
    assert bank.wallet(reference).frozen_reason == ""


def test_a_message_of_ours_is_no_deposit(bank: Bank) -> None:
    reference = bank.payout_due()

    bank.settle()

    rows = TonTransaction.objects.filter(wallet=bank.wallet(reference))
    assert sorted(rows.values_list("direction", flat=True)) == ["IN", "OUT"]
    assert amounts(reference) == [PRICE_NANO]


def test_a_message_without_value_is_no_deposit(bank: Bank) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, 0)

    bank.read()

    assert TonTransaction.objects.get().received_nano == 0
    assert amounts(reference) == []


# --- what is one ----------------------------------------------------------------------------------


def test_a_plain_deposit_shows_aborted_and_is_good(bank: Bank) -> None:
    """Nothing is deployed there, so that nothing can be computed; the value stays."""
    reference = bank.open_escrow()
    deposit(bank, reference, PRICE_NANO)

    bank.read()

    [shown] = bank.chain.transactions(bank.wallet(reference).address)
    assert shown["description"]["aborted"] is True
    assert amounts(reference) == [PRICE_NANO]


def test_the_value_counts_and_not_the_change_of_balance(bank: Bank) -> None:
    """On a deployed wallet the receipt itself costs gas, which is the platform's."""
    reference = bank.payout_due()
    bank.settle()
    before = bank.wallet(reference).balance_nano

    bank.pay(reference, 3 * TON)

    wallet = bank.wallet(reference)
    assert amounts(reference) == [PRICE_NANO, 3 * TON]
    assert ledger.balance(PerDeal.DEPOSIT_PENDING.of(reference)) == 3 * TON
    fee = TonTransaction.objects.filter(wallet=wallet).latest("lt").fee_nano
    assert fee > 0
    assert wallet.balance_nano == before + 3 * TON - fee == bank.chain.balance(wallet.address)
    assert Posting.objects.filter(
        journal__kind=Journal.Kind.NETWORK_FEE, debit=NETWORK_FEES, amount_nano=fee
    ).exists()


@pytest.mark.parametrize("seed", range(2))
def test_whatever_arrives_the_books_follow_the_chain_to_the_nano(bank: Bank, seed: int) -> None:
    """Dust, storage fees of years, bounces; a wallet that is deployed and one that is not."""
    chance = random.Random(seed)
    deployed = bank.payout_due()
    bank.settle()
    fresh = bank.open_escrow()
    for _ in range(20):
        reference = chance.choice([deployed, fresh])
        nano = chance.choice([0, 1, 1_000, 40_000, 399_999, 400_000, 1_000_000, TON])
        if chance.random() < 0.3:
            bank.chain.advance(chance.choice([1, 1_000, 10**6, 10**8]))
        bank.chain.faucet(bank.wallet(reference).address, nano, bounce=chance.random() < 0.4)
        bank.read()

    for reference in (deployed, fresh):
        wallet = bank.wallet(reference)
        assert wallet.balance_nano == bank.chain.balance(wallet.address)
        assert wallet.frozen_reason == ""
    assert bank.owner_received() == [OWNER_SHARE_NANO]


# --- a link that is missing -----------------------------------------------------------------------


def lose_blocks(bank: Bank) -> None:
    """Let the reader believe that it has read everything so far."""
    head = bank.chain.mine()
    ChainCursor.objects.update(seqno=head, head_seqno=head)


def test_a_missing_link_is_caught_up_from_the_account(bank: Bank) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, 1 * TON, 2 * TON)
    blocks = [tx["mc_block_seqno"] for tx in _history(bank, reference)]
    lose_blocks(bank)

    deposit(bank, reference, 3 * TON)
    bank.read()

    assert amounts(reference) == [1 * TON, 2 * TON, 3 * TON]
    rows = TonTransaction.objects.order_by("lt").values_list("mc_seqno", flat=True)
    assert list(rows)[:2] == blocks


def test_catching_up_books_nothing_of_later_blocks(bank: Bank) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, 1 * TON)
    lose_blocks(bank)
    deposit(bank, reference, 2 * TON, 3 * TON)

    read(bank, at_most=1)
    assert amounts(reference) == [1 * TON, 2 * TON]
    read(bank)

    assert amounts(reference) == [1 * TON, 2 * TON, 3 * TON]


def test_a_history_that_cannot_be_had_whole_is_waited_for(bank: Bank) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, 1 * TON)
    lose_blocks(bank)
    deposit(bank, reference, 2 * TON)
    start = cursor()
    bank.chain.fault("transactions", "unindexed")

    with pytest.raises(TonUnavailable, match="incomplete"):
        read(bank)
    assert (cursor(), amounts(reference)) == (start, [])
    read(bank)

    assert amounts(reference) == [1 * TON, 2 * TON]


def test_catching_up_reads_all_pages(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PAGE", 2)
    reference = bank.open_escrow()
    deposit(bank, reference, 1, 2, 3, 4)
    lose_blocks(bank)

    deposit(bank, reference, 5)
    bank.read()

    assert amounts(reference) == [1, 2, 3, 4, 5]


def test_a_payout_that_the_reader_missed_is_found_by_the_next_link(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.execute()
    bank.chain.mine()
    lose_blocks(bank)

    bank.pay(reference, TON)
    bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.attempts(reference) == ["CONFIRMED"]


def _history(bank: Bank, reference: UUID) -> list[dict[str, int]]:
    return bank.chain.transactions(bank.wallet(reference).address)


# --- books that differ ----------------------------------------------------------------------------


@pytest.mark.leaves_findings
def test_a_wallet_whose_balance_differs_from_the_books_is_frozen(bank: Bank) -> None:
    reference = bank.open_escrow()
    Wallet.objects.filter(reference=reference).update(balance_nano=1)

    bank.pay(reference)

    assert "differs from the books" in bank.wallet(reference).frozen_reason


def test_the_time_of_a_block_is_the_chains_time(bank: Bank) -> None:
    time = bank.chain.advance(3600)

    bank.read()

    assert ChainCursor.objects.get().block_at >= dt.datetime.fromtimestamp(time, dt.UTC)
    assert ChainCursor.objects.get().read_at <= timezone.now()


def test_a_head_that_was_wrong_is_put_right_by_the_next_one(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else 500 TON, which take 3 blocks, would be decided in the block that brought them."""
    head = bank.client.head()
    far = head.model_copy(update={"seqno": head.seqno + 10_000})
    with monkeypatch.context() as lying:
        lying.setattr(bank.client, "head", lambda: far)
        bank.read_new()
    reference = bank.refundable_escrow(500 * NANO_PER_TON)

    bank.pay(reference, 500 * NANO_PER_TON)
    bank.apply_deposits()

    assert bank.escrow(reference).state == Escrow.State.AWAITING


def test_coins_of_another_network_are_no_deposit(bank: Bank, settings: Settings) -> None:
    """They cost nothing; an address is the same on each network."""
    reference = bank.open_escrow()
    deposit(bank, reference, PRICE_NANO)
    before = cursor()
    settings.TON_NETWORK = "mainnet"

    with pytest.raises(TonUnavailable, match="serves testnet, and TON_NETWORK is mainnet"):
        read(bank)

    assert (cursor(), amounts(reference)) == (before, [])


def test_another_message_to_the_same_recipient_is_no_receipt(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, PRICE_NANO)
    address = bank.wallet(reference).address
    [came] = bank.client.account_chain_transactions([address], after_lt=0)
    assert came.in_msg is not None
    page = bank.client._read(ChainTransactions, "transactions", {"account": [address]})
    monkeypatch.setattr(bank.client, "_read", lambda *_asked: page)

    assert bank.client.received(came.in_msg.hash, by=address, after_lt=0) == came
    assert bank.client.received("ab" * 32, by=address, after_lt=0) is None


@pytest.mark.parametrize(
    ("global_id", "network"),
    [(-239, "mainnet"), (-3, "testnet"), (-217, "network -217"), (None, "")],
)
def test_a_block_tells_its_network(global_id: int | None, network: str) -> None:
    block = Block.model_validate({"seqno": 1, "gen_utime": 1, "global_id": global_id})

    assert block.network == network
