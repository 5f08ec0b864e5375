"""Everything runs beside itself. Where a lock decides, a control shows that the race is real."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from contextlib import closing
from uuid import UUID, uuid4

import pytest
from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.utils import timezone
from pytest_django.fixtures import Settings

from advertmarket.state import redis_state
from payments import wallets
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.chain import reader
from payments.models import (
    ChainCursor,
    Deposit,
    Settlement,
    TonTransaction,
    Wallet,
)
from payments.sending import executor as executor_module
from payments.sending.executor import Executor
from payments.ton.client import TonClient
from payments.ton.schema import Shown
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.lines import Line, before, line_of
from tests.payments.threads import elsewhere, together

TON = 1_000_000_000
Kind = Settlement.Kind

AFTER_THE_LEASE = line_of(Executor.run, "for pk in leased")
AFTER_THE_LOOK = line_of(Executor._sign, "now = timezone.now()")
AFTER_THE_COMMIT = line_of(Executor._sign, "if given_up")
BEFORE_THE_BROADCAST = line_of(Executor._broadcast, "self._client.send(")
AFTER_THE_BROADCAST = line_of(Executor._broadcast, "now = timezone.now()")


def steal_leases() -> None:
    """Take all settlements away from the worker that has them."""
    Settlement.objects.update(lease_owner=None, leased_until=None, due_at=timezone.now())


def landed(bank: Bank, reference: UUID) -> int:
    """How many messages out of the deal's wallet the chain has executed."""
    return sum(
        len(tx["out_msgs"]) for tx in bank.chain.transactions(bank.wallet(reference).address)
    )


# --- executors ------------------------------------------------------------------------------------


def test_four_executors_at_once_pay_once(bank: Bank) -> None:
    reference = bank.payout_due()

    for _ in range(4):
        for run in together(*[lambda: bank.executor().run(at_most=10)] * 4):
            run.result()
        bank.read()
        Settlement.objects.update(due_at=timezone.now())

    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]
    assert landed(bank, reference) == 1


def test_a_leased_settlement_is_not_due_for_others(bank: Bank) -> None:
    reference = bank.payout_due()
    taken: list[int] = []

    with before(
        AFTER_THE_LEASE, lambda: elsewhere(lambda: taken.append(bank.executor().run(at_most=10)))
    ):
        bank.executor().run(at_most=10)

    assert taken == [0]
    assert bank.attempts(reference) == ["SUBMITTED"]


@pytest.mark.parametrize(
    "line", [AFTER_THE_LEASE, AFTER_THE_LOOK, AFTER_THE_COMMIT, BEFORE_THE_BROADCAST]
)
def test_a_worker_that_lost_its_lease_lets_go(bank: Bank, line: Line) -> None:
    """Its lease ran out during a slow call, and another worker has gone on."""
    reference = bank.payout_due()

    def other_worker() -> None:
        steal_leases()
        bank.executor().run(at_most=10)

    with before(line, lambda: elsewhere(other_worker)):
        bank.executor().run(at_most=10)

    assert bank.attempts(reference) == ["SUBMITTED"]
    bank.settle()
    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]
    assert landed(bank, reference) == 1


def test_a_worker_whose_lease_is_anothers_signs_nothing(bank: Bank) -> None:
    reference = bank.payout_due()
    other = uuid4()

    def take_over() -> None:
        later = timezone.now() + dt.timedelta(seconds=60)
        Settlement.objects.update(lease_owner=other, leased_until=later)

    with before(AFTER_THE_LOOK, lambda: elsewhere(take_over)):
        bank.executor().run(at_most=10)

    assert bank.attempts(reference) == []
    assert bank.settlement(reference).state == Settlement.State.QUEUED
    assert bank.settlement(reference).lease_owner == other


def test_an_address_that_changes_during_the_look_is_looked_at_anew(
    bank: Bank, settings: Settings
) -> None:
    """What was asked of the chain (does the recipient live, what is the fee) was of another."""
    settings.PAYOUT_ADDRESS_COOL_DOWN_S = 0
    reference = bank.payout_due()
    new = PersonsWallet("the owner's new one")

    with before(
        AFTER_THE_LOOK,
        lambda: elsewhere(lambda: bank.set_payout_address(address=new.raw_address)),
    ):
        bank.executor().run(at_most=10)

    assert bank.attempts(reference) == []
    assert bank.settlement(reference).waiting_for == "a steady address"
    bank.settle()
    assert bank.received_at(new.raw_address) == [OWNER_SHARE_NANO]
    assert bank.owner_received() == []


def test_a_slow_answer_to_the_broadcast_does_not_undo_the_landing(bank: Bank) -> None:
    reference = bank.payout_due()

    with before(AFTER_THE_BROADCAST, lambda: elsewhere(bank.read)):
        bank.execute()

    assert bank.attempts(reference) == ["LANDED"]
    bank.settle()
    assert bank.attempts(reference) == ["CONFIRMED"]
    assert bank.owner_has() == OWNER_SHARE_NANO


@pytest.mark.leaves_findings
def test_without_lease_locks_and_constraint_two_workers_sign(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: only the seqno on chain then stands between us and paying twice."""
    reference = bank.payout_due()
    _take_the_guards_away(monkeypatch)

    def other_worker() -> None:
        steal_leases()
        bank.executor().run(at_most=10)

    with before(AFTER_THE_LOOK, lambda: elsewhere(other_worker)):
        bank.executor().run(at_most=10)

    assert len(bank.attempts(reference)) == 2


def _take_the_guards_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lock(_self: Executor, pk: UUID) -> Settlement:
        settlement = Settlement.objects.get(pk=pk)
        settlement.state = Settlement.State.QUEUED
        return settlement

    monkeypatch.setattr(Executor, "_lock", no_lock)
    monkeypatch.setattr(executor_module, "_live_attempt", lambda _wallet: None)
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX attempt_one_live_per_wallet")
        cursor.execute("DROP INDEX attempt_message_once")


# --- two settlements of one wallet ----------------------------------------------------------------


def all_attempts(bank: Bank, reference: UUID) -> list[str]:
    """The states of the attempts at what a split owes to both."""
    return [*bank.attempts(reference), *bank.attempts(reference, Kind.REFUND)]


def assert_both_have_theirs(bank: Bank, reference: UUID) -> None:
    [withheld] = bank.withheld(reference, Kind.REFUND)
    assert bank.owner_received() == [45 * TON]
    assert bank.advertiser_received() == [50 * TON - withheld]
    assert landed(bank, reference) == 2


def test_two_settlements_of_one_wallet_leave_one_after_the_other(bank: Bank) -> None:
    reference = bank.split_due()

    for run in together(*[lambda: bank.executor().run(at_most=1)] * 2):
        run.result()
    signed = all_attempts(bank, reference)
    bank.settle(turns=8)

    assert len(signed) == 1
    assert_both_have_theirs(bank, reference)
    assert all_attempts(bank, reference) == ["CONFIRMED", "CONFIRMED"]
    assert bank.wallet(reference).expected_seqno == 2


def test_both_have_looked_at_the_same_seqno_and_one_signs(bank: Bank) -> None:
    reference = bank.split_due()

    with before(AFTER_THE_LOOK, lambda: elsewhere(lambda: bank.executor().run(at_most=1))):
        bank.executor().run(at_most=1)

    assert len(all_attempts(bank, reference)) == 1
    waiting = Settlement.objects.get(state=Settlement.State.QUEUED)
    assert waiting.waiting_for == "another transfer of this wallet"
    bank.settle(turns=8)
    assert_both_have_theirs(bank, reference)


def test_the_database_itself_refuses_a_second_live_attempt(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = bank.split_due()
    monkeypatch.setattr(executor_module, "_live_attempt", lambda _wallet: None)

    with before(AFTER_THE_LOOK, lambda: elsewhere(lambda: bank.executor().run(at_most=1))):
        bank.executor().run(at_most=1)

    assert len(all_attempts(bank, reference)) == 1
    refused = Settlement.objects.get(state=Settlement.State.QUEUED)
    assert "attempt_one_live_per_wallet" in refused.waiting_for


def test_two_messages_with_one_seqno_are_both_answered_ok_and_one_vanishes(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control; what saves the day is that the vanished one is sent anew."""
    reference = bank.split_due()
    with monkeypatch.context() as unguarded:
        unguarded.setattr(executor_module, "_live_attempt", lambda _wallet: None)
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX attempt_one_live_per_wallet")
        with before(AFTER_THE_LOOK, lambda: elsewhere(lambda: bank.executor().run(at_most=1))):
            bank.executor().run(at_most=1)

    answers = TonTransaction.objects.filter(direction="OUT").values_list("seqno", "last_answer")
    assert list(answers) == [(0, "ok"), (0, "ok")]
    bank.read()
    assert landed(bank, reference) == 1

    bank.settle(turns=8)

    assert_both_have_theirs(bank, reference)
    assert sorted(all_attempts(bank, reference)) == ["CONFIRMED", "CONFIRMED", "EXPIRED"]


# --- the reader beside the executor ---------------------------------------------------------------


def test_an_attempt_that_lands_while_it_is_given_up_is_not_given_up(bank: Bank) -> None:
    """It cannot happen on a right chain; if it does, what landed counts and the wallet freezes."""
    reference = bank.payout_due()
    bank.execute()
    ChainCursor.objects.update(block_at=timezone.now() + dt.timedelta(hours=1))

    with before(line_of(Executor._expire, "now = timezone.now()"), lambda: elsewhere(bank.read)):
        bank.execute()

    assert bank.attempts(reference) == ["LANDED"]
    bank.settle()
    assert bank.owner_has() == OWNER_SHARE_NANO
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_an_attempt_that_lands_beside_the_one_that_replaced_it_pays_once(bank: Bank) -> None:
    """Both have one seqno, so that only one of them can land."""
    reference = bank.payout_due()
    bank.chain.fault("message", "hold", blocks=1)
    bank.execute()
    ChainCursor.objects.update(block_at=timezone.now() + dt.timedelta(hours=1))
    bank.execute()
    assert bank.attempts(reference) == ["EXPIRED"]

    with bank.pass_time(2):
        bank.execute()
        assert bank.attempts(reference) == ["EXPIRED", "SUBMITTED"]
        bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert landed(bank, reference) == 1
    assert bank.attempts(reference) == ["CONFIRMED", "EXPIRED"]
    assert bank.wallet(reference).frozen_reason == "an attempt landed after it had expired"


def test_an_attempt_that_lands_unread_after_it_was_given_up_is_not_replaced(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.execute()
    ChainCursor.objects.update(block_at=timezone.now() + dt.timedelta(hours=1))
    bank.execute()
    assert bank.attempts(reference) == ["EXPIRED"]

    bank.chain.mine()
    bank.execute()
    assert bank.wallet(reference).frozen_reason == "the chain's seqno is 1, ours 0"
    bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.attempts(reference) == ["CONFIRMED"]


def test_while_the_reader_is_down_no_attempt_is_given_up(bank: Bank) -> None:
    """It has landed long ago; only the reader could say so, or that it never will."""
    reference = bank.payout_due()
    bank.execute()
    bank.chain.mine(2)

    with bank.pass_time(3_600):
        for _ in range(3):
            bank.execute()
        assert bank.attempts(reference) == ["SUBMITTED"]
        bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.attempts(reference) == ["CONFIRMED"]


@pytest.mark.thorough
def test_a_node_that_lags_behind_our_own_transfer_is_not_believed(bank: Bank) -> None:
    """It still says seqno 0: a second debt of this wallet waits for one that knows better."""
    reference = bank.payout_due()
    bank.settle()
    bank.deposit(reference, 5 * TON)
    bank.chain.fault("walletInformation", "lagging", blocks=20)

    bank.execute()

    assert bank.attempts(reference, Kind.LATE_DEPOSIT_REFUND) == []
    assert bank.settlement(reference, Kind.LATE_DEPOSIT_REFUND).state == "QUEUED"
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert len(bank.advertiser_received()) == 1


@pytest.mark.parametrize("due", [Bank.refund, Bank.release])
def test_a_node_that_does_not_know_the_last_deposit_is_not_believed(
    bank: Bank, due: Callable[[Bank, UUID], None]
) -> None:
    """The refund would be short of it, and for a payout the wallet would seem to be robbed."""
    bank.set_payout_address()
    reference = bank.refundable_escrow()
    bank.deposit(reference, 60 * TON)
    bank.deposit(reference, 40 * TON)
    due(bank, reference)
    bank.chain.fault("walletInformation", "lagging", blocks=6)

    bank.execute()

    settlement = Settlement.objects.get()
    assert (settlement.state, settlement.attempts) == ("QUEUED", 0)
    assert settlement.waiting_for == f"a node that is not behind (seqno 0, {60 * TON} nanoTON)"
    bank.settle()
    assert Settlement.objects.get().state == "CONFIRMED"
    assert sum([*bank.owner_received(), *bank.advertiser_received()]) >= OWNER_SHARE_NANO
    assert bank.off_the_chain() == {}


def test_gas_that_the_reader_has_not_seen_arrive_is_not_sent_again(bank: Bank) -> None:
    """It lies in the wallet on chain, but not in the books: the payout still lacks it there."""
    bank.set_payout_address()
    bank.fund_treasury()
    reference = bank.funded_escrow()
    bank.release(reference, owner_share_nano=PRICE_NANO)
    bank.execute()
    bank.execute()
    bank.chain.mine(3)
    while bank.attempts(reference, Kind.GAS_TOPUP) != ["LANDED"]:
        assert reader.read_new_blocks(bank.client, at_most=1)
    assert bank.wallet(reference).balance_nano == PRICE_NANO

    bank.execute()
    bank.execute()

    assert bank.settlement(reference, Kind.GAS_TOPUP).state == "SUBMITTED"
    bank.settle()
    assert bank.attempts(reference, Kind.GAS_TOPUP) == ["CONFIRMED"]
    assert bank.owner_received() == [PRICE_NANO]


def test_two_readers_at_once_book_each_block_once(bank: Bank) -> None:
    reference = bank.open_escrow()
    address = bank.wallet(reference).address
    for _ in range(5):
        bank.chain.faucet(address, 1_000_000_000)

    for run in together(*[lambda: reader.read_new_blocks(bank.client, at_most=100)] * 3):
        run.result()

    assert Deposit.objects.count() == 5
    assert ledger.balance(PerDeal.DEPOSIT_PENDING.of(reference)) == 5_000_000_000


class OvertakenClient(TonClient):
    """While it fetches a block, another reader books that block."""

    def block_chain_transactions(self, seqno: int) -> list[Shown]:
        found = super().block_chain_transactions(seqno)
        with closing(TonClient()) as faster:
            elsewhere(lambda: reader.read_new_blocks(faster, at_most=100))
        return found


def test_a_reader_that_comes_second_to_a_block_writes_nothing(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)

    with (
        closing(OvertakenClient()) as overtaken,
        before(line_of(reader._commit_block, "return"), lambda: None),
    ):
        reader.read_new_blocks(overtaken, at_most=1)

    assert Deposit.objects.count() == 1
    assert ledger.balance(PerDeal.DEPOSIT_PENDING.of(reference)) == PRICE_NANO


# --- an operator, a pause, a database that goes away ----------------------------------------------


@pytest.mark.parametrize("reason", ["an operator's doubt", "x" * 300])
def test_a_wallet_frozen_during_the_look_signs_nothing(bank: Bank, reason: str) -> None:
    reference = bank.payout_due()

    def freeze() -> None:
        with transaction.atomic():
            wallet = Wallet.objects.select_for_update().get(reference=reference)
            wallets.freeze(wallet=wallet, reason=reason, at=timezone.now())

    with before(AFTER_THE_LOOK, lambda: elsewhere(freeze)):
        bank.execute()
    bank.settle(turns=2)

    assert bank.attempts(reference) == []
    assert bank.settlement(reference).state == Settlement.State.NEEDS_OPERATOR
    assert bank.owner_has() == 0


@pytest.mark.parametrize("line", [AFTER_THE_LOOK, BEFORE_THE_BROADCAST])
def test_a_pause_set_during_the_step_stops_it(bank: Bank, line: Line) -> None:
    bank.payout_due()

    with before(line, lambda: redis_state().set("system:pause_payouts", "1")):
        bank.execute()
    bank.settle(turns=2)

    assert bank.owner_has() == 0
    redis_state().delete("system:pause_payouts")
    with bank.pass_time(200):
        bank.settle()
    assert bank.owner_has() == OWNER_SHARE_NANO


def end_connections() -> None:
    """End every other session of this database, as a restart of PostgreSQL does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.mark.thorough
@pytest.mark.parametrize(
    "line",
    [
        AFTER_THE_LEASE,
        AFTER_THE_LOOK,
        line_of(Executor._store_attempt, "objects.create("),
        AFTER_THE_COMMIT,
        BEFORE_THE_BROADCAST,
        AFTER_THE_BROADCAST,
    ],
)
def test_a_database_that_restarts_during_the_step_costs_time_only(bank: Bank, line: Line) -> None:
    reference = bank.payout_due()

    with (
        before(line, lambda: elsewhere(end_connections)),
        contextlib.suppress(OperationalError, InterfaceError),
    ):
        bank.execute()
    close_old_connections()
    with bank.pass_time(200):
        bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.settlement(reference).state == Settlement.State.CONFIRMED
