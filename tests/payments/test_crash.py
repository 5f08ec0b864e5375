"""Whichever process dies at whichever line, the owner is paid once: real processes, SIGKILL."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import pytest
from django.utils import timezone

from payments.books import ledger
from payments.books.chart import PerDeal
from payments.chain import booking, reader
from payments.deposits import allocation, rule
from payments.models import Deposit, Escrow, PauseEpoch, Settlement, TonTransaction
from payments.sending import pause
from payments.sending.executor import Executor
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.doomed import Doomed, NotKilled
from tests.payments.lines import Line, line_of

pytestmark = pytest.mark.thorough

SENDING = {
    "after the lease": line_of(Executor.run, "for pk in leased"),
    "after the look at the chain": line_of(Executor._sign, "now = timezone.now()"),
    "with a signature in memory": line_of(Executor._store_attempt, "objects.create("),
    "before the commit of the signature": line_of(Executor._sign, "with transaction", hit=2),
    "after the commit of the signature": line_of(Executor._sign, "if given_up"),
    "before the broadcast": line_of(Executor._broadcast, "self._client.send("),
    "after the broadcast": line_of(Executor._broadcast, "now = timezone.now()"),
    "before the commit of SUBMITTED": line_of(Executor._broadcast, "with transaction", hit=2),
    "before the lease is given back": line_of(Executor._finish, "lease_owner=None"),
}
BOOKING = {
    "in the middle of a block": line_of(booking._post_fee, "row.save("),
    "before the commit of a block": line_of(reader._commit_block, "with transaction", hit=2),
    "after the commit of a block": line_of(reader.read_new_blocks, "done += 1"),
}
CONFIRMING = {
    "the recipient's side found": line_of(Executor._confirm, "now = timezone.now()"),
    "before the commit of CONFIRMED": line_of(Executor._confirm, "with transaction", hit=2),
    "after the commit of CONFIRMED": line_of(Executor._step, "self._finish(pk)"),
}
EXPIRING = {
    "before the commit of EXPIRED": line_of(Executor._expire, "with transaction", hit=2),
    "after the commit of EXPIRED": line_of(Executor._step, "self._finish(pk)"),
}
APPLYING = {
    "before the rule": line_of(rule.apply_rule, "if _is_large("),
    "between the books and the escrow": line_of(allocation._fund, "escrow.state,"),
    "at the end of the rule": line_of(allocation.decide, "deposit.save("),
}


def end_leases() -> None:
    """Let another worker take over at once, while the dead one's attempt is still valid."""
    past = timezone.now() - dt.timedelta(seconds=1)
    Settlement.objects.exclude(lease_owner=None).update(leased_until=past)


def assert_paid_once(bank: Bank, reference: UUID) -> None:
    wallet = bank.wallet(reference)
    assert bank.owner_has() == OWNER_SHARE_NANO
    assert len(bank.chain.transactions(bank.owner.raw_address)) == 1
    assert bank.settlement(reference).state == Settlement.State.CONFIRMED
    assert bank.chain.balance(wallet.address) == wallet.balance_nano
    assert wallet.frozen_reason == ""


def assert_funded_once(bank: Bank, reference: UUID) -> None:
    assert bank.escrow(reference).state == Escrow.State.FUNDED
    assert bank.escrow(reference).funded_nano == PRICE_NANO
    assert ledger.balance(PerDeal.ESCROW.of(reference)) == PRICE_NANO
    assert ledger.balance(PerDeal.DEPOSIT_PENDING.of(reference)) == 0
    assert Deposit.objects.count() == 1


@pytest.mark.parametrize("line", SENDING.values(), ids=SENDING.keys())
def test_an_executor_dies_and_another_takes_over_at_once(
    bank: Bank, doomed: Doomed, line: Line
) -> None:
    reference = bank.payout_due()

    doomed.die("execute", line)
    bank.chain.mine()
    end_leases()
    bank.settle()

    assert_paid_once(bank, reference)


@pytest.mark.parametrize("line", SENDING.values(), ids=SENDING.keys())
def test_an_executor_dies_and_another_comes_after_the_lease(
    bank: Bank, doomed: Doomed, line: Line
) -> None:
    """By then a message that did not land never will."""
    reference = bank.payout_due()

    doomed.die("execute", line)
    with bank.pass_time(200):
        bank.settle()

    assert_paid_once(bank, reference)


def test_until_the_lease_ends_nobody_else_touches_the_settlement(
    bank: Bank, doomed: Doomed
) -> None:
    reference = bank.payout_due()
    doomed.die("execute", SENDING["before the broadcast"])

    bank.settle(turns=2)

    assert bank.attempts(reference) == [TonTransaction.State.SIGNED]
    assert bank.owner_has() == 0


@pytest.mark.parametrize("line", BOOKING.values(), ids=BOOKING.keys())
def test_the_reader_dies_while_it_books_a_payout(bank: Bank, doomed: Doomed, line: Line) -> None:
    reference = bank.payout_due()
    bank.execute()
    bank.chain.mine()

    doomed.die("read", line)
    bank.settle()

    assert_paid_once(bank, reference)


@pytest.mark.parametrize("line", CONFIRMING.values(), ids=CONFIRMING.keys())
def test_an_executor_dies_while_it_confirms(bank: Bank, doomed: Doomed, line: Line) -> None:
    reference = bank.payout_due()
    bank.execute()
    bank.read()
    bank.read()

    doomed.die("execute", line)
    end_leases()
    bank.settle()

    assert_paid_once(bank, reference)


@pytest.mark.parametrize("line", EXPIRING.values(), ids=EXPIRING.keys())
def test_an_executor_dies_while_it_gives_an_attempt_up(
    bank: Bank, doomed: Doomed, line: Line
) -> None:
    reference = bank.payout_due()
    bank.chain.fault("message", "swallow")
    bank.execute()

    with bank.pass_time(200):
        bank.read()
        doomed.die("execute", line)
        end_leases()
        bank.settle()

    assert_paid_once(bank, reference)
    assert bank.attempts(reference) == ["EXPIRED", "CONFIRMED"]


@pytest.mark.parametrize("line", BOOKING.values(), ids=BOOKING.keys())
def test_the_reader_dies_while_it_books_a_deposit(bank: Bank, doomed: Doomed, line: Line) -> None:
    reference = bank.open_escrow()
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)

    doomed.die("read", line)
    bank.read()
    bank.apply_deposits()

    assert_funded_once(bank, reference)


@pytest.mark.parametrize("line", APPLYING.values(), ids=APPLYING.keys())
def test_a_sweeper_dies_while_it_funds_a_deal(bank: Bank, doomed: Doomed, line: Line) -> None:
    reference = bank.open_escrow()
    bank.pay(reference)

    doomed.die("apply_deposits", line)
    assert bank.escrow(reference).state == Escrow.State.AWAITING
    bank.apply_deposits()

    assert_funded_once(bank, reference)


def test_dying_before_redis_has_the_new_epoch_leaves_payouts_paused(
    bank: Bank, doomed: Doomed
) -> None:
    reference = bank.payout_due()
    before = PauseEpoch.objects.get().epoch

    doomed.die("confirm_epoch", line_of(pause.confirm_epoch, "transaction.on_commit", hit=2))

    assert PauseEpoch.objects.get().epoch != before
    bank.settle(turns=2)
    assert bank.attempts(reference) == []
    assert "confirm_epoch" in bank.settlement(reference).waiting_for
    bank.confirm_epoch()
    bank.settle()
    assert_paid_once(bank, reference)


def test_a_line_that_is_not_reached_is_no_proof(bank: Bank, doomed: Doomed) -> None:
    with pytest.raises(NotKilled, match="did not come to executor"):
        doomed.die("execute", SENDING["before the broadcast"])
