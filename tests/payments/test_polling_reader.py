"""The chain reader on API v2: no wallet overlooked, and a cursor that never says too much."""

from __future__ import annotations

import datetime as dt
import random
from contextlib import closing
from uuid import UUID

import pytest
from django.utils import timezone
from pytest_django import Settings

from payments import wallets
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.chain.polling_reader import poll_wallets
from payments.chain.reader import read_new_blocks
from payments.models import ChainCursor, Deposit, TonTransaction, Wallet
from payments.ton import client_v2
from payments.ton.api import TonUnavailable
from payments.ton.client_v2 import TonClientV2
from payments.ton.schema import Block
from payments.ton.schema_v2 import AddressInformation
from payments.wallets import refill_stock
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, PollingBank
from tests.payments.lines import before, line_of
from tests.payments.server import Sleeps
from tests.payments.threads import elsewhere

pytestmark = pytest.mark.thorough

TON = 1_000_000_000


@pytest.fixture
def api_version() -> str:
    """Without v3."""
    return "v2"


def cursor() -> int:
    return ChainCursor.objects.get().seqno


def amounts(reference: UUID) -> list[int]:
    """The deposits of an escrow, in the order of the chain."""
    deposits = Deposit.objects.filter(escrow=reference).order_by("chain_transaction__lt")
    return list(deposits.values_list("amount_nano", flat=True))


def deposit(bank: PollingBank, reference: UUID, *nano: int) -> None:
    """Payments that land in a block each, and are not read yet."""
    for one in nano:
        bank.chain.faucet(bank.wallet(reference).address, one)


# --- a round --------------------------------------------------------------------------------------


def test_the_first_call_places_the_cursor_at_the_head(bank: PollingBank) -> None:
    ChainCursor.objects.all().delete()
    head = bank.chain.mine()

    assert bank.read_new() == 0

    assert cursor() == head


def test_a_round_books_all_wallets_and_moves_the_cursor_to_the_head(bank: PollingBank) -> None:
    first, second = bank.open_escrow(), bank.open_escrow()
    deposit(bank, first, 1 * TON, 2 * TON)
    deposit(bank, second, 3 * TON)

    head = bank.chain.mine()
    bank.read_new()

    assert (amounts(first), amounts(second)) == ([1 * TON, 2 * TON], [3 * TON])
    assert cursor() == head


def test_a_round_without_a_new_block_changes_nothing(bank: PollingBank) -> None:
    read_at = ChainCursor.objects.get().read_at

    assert bank.read_new() == 0

    assert ChainCursor.objects.get().read_at == read_at


def test_missed_rounds_lose_nothing(bank: PollingBank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_v2, "PAGE", 3)
    reference = bank.open_escrow()
    for number in range(1, 11):
        deposit(bank, reference, number)
        bank.chain.mine(3)

    with closing(TonClientV2()) as restarted:
        poll_wallets(restarted)

    assert amounts(reference) == list(range(1, 11))


def test_what_is_booked_is_not_read_again(bank: PollingBank) -> None:
    reference = bank.open_escrow()
    bank.pay(reference, 5)
    bank.chain.fault("getTransactions", "error", status=422)

    bank.read()

    assert amounts(reference) == [5]


def test_a_deposit_counts_its_confirmations_from_the_block_that_it_was_read_as_of(
    bank: PollingBank,
) -> None:
    reference = bank.open_escrow(price_nano=500 * TON)
    deposit(bank, reference, 500 * TON)
    bank.chain.mine(10)
    bank.read()

    row = TonTransaction.objects.get()
    assert row.mc_seqno == cursor()
    assert Deposit.objects.get().confirmed_at_seqno == cursor() + 2


def test_the_time_of_the_cursor_is_the_chains_time(bank: PollingBank) -> None:
    time = bank.chain.advance(3600)

    bank.read()

    assert ChainCursor.objects.get().block_at >= dt.datetime.fromtimestamp(time, dt.UTC)
    assert ChainCursor.objects.get().read_at <= timezone.now()


def test_a_hundred_wallets_are_each_read(
    bank: PollingBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wallets, "STOCK", 100)
    while refill_stock(bank.api, at=timezone.now()):
        pass
    references = [bank.open_escrow() for _ in range(100)]
    for number, reference in enumerate(references):
        if number % 3 == 0:
            deposit(bank, reference, 1 + number)

    bank.read()

    assert [amounts(reference) for reference in references] == [
        [1 + number] if number % 3 == 0 else [] for number in range(100)
    ]


# --- a round that fails ---------------------------------------------------------------------------


def test_a_wallet_that_fails_holds_the_cursor_and_no_other_wallet(
    bank: PollingBank, sleeps: Sleeps
) -> None:
    first, second = bank.open_escrow(), bank.open_escrow()
    deposit(bank, first, 1 * TON)
    deposit(bank, second, 2 * TON)
    start = cursor()
    bank.chain.fault("getTransactions", "error", status=500, times=4)

    with pytest.raises(TonUnavailable):
        bank.read_new()
    assert (cursor(), amounts(first), amounts(second)) == (start, [], [2 * TON])
    bank.read()

    assert (amounts(first), amounts(second)) == ([1 * TON], [2 * TON])


def test_a_network_that_is_away_is_not_asked_about_every_wallet(
    bank: PollingBank, sleeps: Sleeps
) -> None:
    bank.chain.mine()

    class Away(TonClientV2):
        asked = 0

        def account_at(self, address: str, *, seqno: int) -> AddressInformation:
            self.asked += 1
            raise TonUnavailable(reason="gone")

    assert Wallet.objects.count() == 4
    with closing(Away()) as away, pytest.raises(TonUnavailable, match="gone"):
        poll_wallets(away)
    assert away.asked == 4


def test_asked_to_stop_it_leaves_the_cursor(bank: PollingBank) -> None:
    start = cursor()
    bank.chain.mine()
    asked = iter([False, True])

    assert poll_wallets(bank.v2, should_stop=lambda: next(asked)) == 0

    assert cursor() == start


def test_coins_of_another_network_are_no_deposit(bank: PollingBank, settings: Settings) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, PRICE_NANO)
    before = cursor()
    settings.TON_NETWORK = "mainnet"

    with pytest.raises(TonUnavailable, match="serves testnet, and TON_NETWORK is mainnet"):
        poll_wallets(bank.v2)

    assert (cursor(), amounts(reference)) == (before, [])


# --- nodes that differ ----------------------------------------------------------------------------


def test_a_head_from_before_what_was_read_is_passed_over(bank: PollingBank) -> None:
    start = cursor()
    bank.chain.mine()
    bank.chain.fault("getMasterchainInfo", "lagging", blocks=3)

    assert bank.read_new() == 0

    assert cursor() == start


def test_a_node_that_does_not_have_the_head_yet_is_not_believed(
    bank: PollingBank, sleeps: Sleeps
) -> None:
    """It would show the wallet of before the deposit."""
    reference = bank.open_escrow()
    deposit(bank, reference, PRICE_NANO)
    start = cursor()
    bank.chain.fault("getAddressInformation", "lagging", times=100)

    with pytest.raises(TonUnavailable, match="not applied"):
        bank.read_new()
    assert (cursor(), amounts(reference)) == (start, [])
    bank.chain.clear_faults()
    bank.read()

    assert amounts(reference) == [PRICE_NANO]


def test_an_answer_as_of_another_block_is_not_believed(bank: PollingBank) -> None:
    reference = bank.open_escrow()
    start = cursor()
    deposit(bank, reference, PRICE_NANO)

    class Forgetful(TonClientV2):
        """A service that overlooks which block is asked about."""

        def _read(self, model, method, params=None, json=None):  # type: ignore[no-untyped-def]
            asked = {key: value for key, value in (params or {}).items() if key != "seqno"}
            return super()._read(
                model, method, asked if method == "getAddressInformation" else params, json
            )

        def head(self) -> Block:
            head = super().head()
            bank.chain.mine()
            return head

    with closing(Forgetful()) as forgetful, pytest.raises(TonUnavailable, match="was asked for"):
        poll_wallets(forgetful)
    assert (cursor(), amounts(reference)) == (start, [])


def test_what_lands_during_a_round_waits_for_the_next(bank: PollingBank) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, 1 * TON)

    class Slow(TonClientV2):
        def account_at(self, address: str, *, seqno: int) -> AddressInformation:
            if address == bank.wallet(reference).address:
                deposit(bank, reference, 2 * TON)
            return super().account_at(address, seqno=seqno)

    with closing(Slow()) as slow:
        poll_wallets(slow)
    assert amounts(reference) == [1 * TON]
    bank.read_new()

    assert amounts(reference) == [1 * TON, 2 * TON]


def test_a_reader_that_is_overtaken_books_nothing_twice_and_moves_nothing_back(
    bank: PollingBank,
) -> None:
    reference = bank.open_escrow()
    deposit(bank, reference, 1 * TON)

    def overtake() -> None:
        bank.chain.mine()
        with closing(TonClientV2()) as faster:
            poll_wallets(faster)

    line = line_of(poll_wallets, "if failures:")
    with before(line, lambda: elsewhere(overtake)):
        bank.read_new()

    assert amounts(reference) == [1 * TON]
    assert cursor() == bank.v2.head().seqno


# --- with the settlement protocol -----------------------------------------------------------------


def test_an_attempt_expires_only_after_a_round_that_began_too_late_for_it(
    bank: PollingBank,
) -> None:
    """It has landed, and a round that cannot read its wallet lets nobody sign anew."""
    reference = bank.payout_due()
    bank.execute()
    bank.chain.mine()
    with bank.pass_time(200):
        bank.chain.fault("getAddressInformation", "error", status=422, times=4)
        with pytest.raises(TonUnavailable):
            bank.read_new()
        bank.execute()
        assert bank.attempts(reference) == ["SUBMITTED"]

        bank.settle()

    assert bank.attempts(reference) == ["CONFIRMED"]
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_v3_goes_on_where_v2_was_and_the_reverse(bank: PollingBank) -> None:
    reference = bank.open_escrow()
    bank.pay(reference, 1 * TON)
    deposit(bank, reference, 2 * TON)
    while read_new_blocks(bank.client, at_most=1000):
        pass
    deposit(bank, reference, 3 * TON)

    bank.read()

    assert amounts(reference) == [1 * TON, 2 * TON, 3 * TON]
    wallet = bank.wallet(reference)
    assert wallet.balance_nano == bank.chain.balance(wallet.address)


# --- proof of reserves ----------------------------------------------------------------------------


@pytest.mark.leaves_findings
def test_a_wallet_whose_balance_differs_from_the_books_is_frozen(bank: PollingBank) -> None:
    reference = bank.open_escrow()
    Wallet.objects.filter(reference=reference).update(balance_nano=1)

    bank.pay(reference)

    assert "differs from the books" in bank.wallet(reference).frozen_reason


def test_a_bounce_that_leaves_no_account_behind_is_nothing(bank: PollingBank) -> None:
    """v2 does not show it: the account is nowhere, and has no history."""
    reference = bank.open_escrow()
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO, bounce=True)
    bank.read()
    assert not TonTransaction.objects.exists()

    bank.pay(reference)

    assert amounts(reference) == [PRICE_NANO]
    assert bank.wallet(reference).frozen_reason == ""


@pytest.mark.leaves_findings
def test_an_account_that_vanished_with_money_of_the_books_is_frozen(bank: PollingBank) -> None:
    """Storage ate the dust; the chain transaction that shows it cannot be had from v2."""
    reference = bank.open_escrow()
    address = bank.wallet(reference).address
    bank.pay(reference, 1_000)
    bank.chain.advance(10**8)
    bank.chain.faucet(address, 0, bounce=True)
    assert bank.chain.state(address)["status"] == "nonexist"

    bank.read()

    assert "gone" in bank.wallet(reference).frozen_reason
    assert ledger.balance(PerDeal.DEPOSIT_PENDING.of(reference)) == 1_000


@pytest.mark.parametrize("seed", range(2))
def test_whatever_arrives_the_books_follow_the_chain_to_the_nano(
    bank: PollingBank, seed: int
) -> None:
    """Several between two rounds; bounces; storage fees of years, on a wallet that has enough."""
    chance = random.Random(seed)
    deployed = bank.payout_due()
    bank.settle()
    fresh = bank.funded_escrow()
    for _ in range(20):
        reference = chance.choice([deployed, fresh])
        nano = chance.choice([0, 1, 1_000, 40_000, 399_999, 400_000, 1_000_000, TON])
        if chance.random() < 0.3:
            bank.chain.advance(chance.choice([1, 1_000, 10**6]))
        bank.chain.faucet(bank.wallet(reference).address, nano, bounce=chance.random() < 0.4)
        if chance.random() < 0.4:
            bank.read()
    bank.read()

    for reference in (deployed, fresh):
        wallet = bank.wallet(reference)
        assert wallet.balance_nano == bank.chain.balance(wallet.address)
        assert wallet.frozen_reason == ""
    assert bank.owner_received() == [OWNER_SHARE_NANO]
