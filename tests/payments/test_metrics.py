"""What the money tells Prometheus: what was committed, and how long people waited for us."""

from __future__ import annotations

import datetime as dt
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.state import redis_state
from payments.books import ledger
from payments.books.chart import EXTERNAL_TON, PerDeal
from payments.books.ledger import Line
from payments.deposits.rule import final_at
from payments.models import ChainCursor, Deposit, Journal, TonTransaction
from payments.sending import settlements
from payments.sending.pause import PAUSE_KEY
from tests.database import Clone
from tests.payments.bank import ACTOR, Bank
from tests.samples import Since

AT = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
HOUR_S = 3600
DELAY = "settlement_confirmation_delay_seconds"


def test_a_deposit_and_a_payout_are_counted_when_they_are_committed(bank: Bank) -> None:
    since = Since()

    bank.payout_due()
    bank.settle()

    assert (since("deposits_total", step="seen"), since("deposits_total", step="allocated")) == (
        1,
        1,
    )
    assert since("deposit_credit_delay_seconds_count") == 1
    assert {
        state: since("settlements_total", kind="PAYOUT", state=state)
        for state in ("QUEUED", "SIGNED", "SUBMITTED", "CONFIRMED", "HELD")
    } == {"QUEUED": 1, "SIGNED": 1, "SUBMITTED": 1, "CONFIRMED": 1, "HELD": 0}
    assert since(f"{DELAY}_count", kind="PAYOUT") == 1
    assert {
        kind: since("ledger_journals_total", kind=kind)
        for kind in ("RECEIVED", "ALLOCATED", "ESCROW_RELEASE", "OWNER_WITHDRAWAL", "REVERSAL")
    } == {
        "RECEIVED": 1,
        "ALLOCATED": 1,
        "ESCROW_RELEASE": 1,
        "OWNER_WITHDRAWAL": 1,
        "REVERSAL": 0,
    }


def test_what_is_rolled_back_is_not_counted(committed_db: Clone) -> None:
    since = Since()
    account = PerDeal.DEPOSIT_PENDING.of(uuid4())

    with transaction.atomic():
        ledger.post(
            kind=Journal.Kind.RECEIVED,
            key="in:0:1",
            lines=[Line(EXTERNAL_TON, account, 1, 0)],
            actor=ACTOR,
            at=AT,
        )
        transaction.set_rollback(True)

    assert since("ledger_journals_total", kind="RECEIVED") == 0
    assert ledger.balance(account) == 0


def test_calls_to_ton_center_are_timed(bank: Bank) -> None:
    since = Since()

    bank.client.head()

    assert since("ton_calls_total", method="masterchainInfo", outcome="200") == 1
    assert since("ton_call_duration_seconds_count", method="masterchainInfo") == 1


@pytest.mark.thorough
def test_a_payout_that_we_delayed_is_late_by_that(bank: Bank) -> None:
    since = Since()
    bank.payout_due()

    with bank.pass_time(HOUR_S):
        bank.read()
        bank.settle()

    assert since(f"{DELAY}_count", kind="PAYOUT") == 1
    assert HOUR_S < since(f"{DELAY}_sum", kind="PAYOUT") < HOUR_S + 60


@pytest.mark.thorough
def test_the_time_for_which_a_payee_was_waited_for_is_not_ours(bank: Bank) -> None:
    since = Since()
    reference = bank.funded_escrow()
    bank.release(reference)

    with bank.pass_time(HOUR_S):
        bank.read()
        bank.execute()
        bank.set_payout_address()
        bank.settle()

    assert bank.settlement(reference).state == "CONFIRMED"
    assert since(f"{DELAY}_sum", kind="PAYOUT") < 60


@pytest.mark.thorough
def test_the_time_of_a_pause_is_not_ours(bank: Bank) -> None:
    since = Since()
    reference = bank.payout_due()
    redis_state().set(PAUSE_KEY, 1)

    with bank.pass_time(HOUR_S):
        bank.read()
        bank.execute()
        redis_state().delete(PAUSE_KEY)
        bank.settle()

    assert bank.settlement(reference).state == "CONFIRMED"
    assert since(f"{DELAY}_sum", kind="PAYOUT") < 60


@pytest.mark.parametrize(("stop", "is_ours"), [("hold", False), ("give_up", True)])
def test_a_hold_ends_our_time_and_a_failure_does_not(bank: Bank, stop: str, is_ours: bool) -> None:
    reference = bank.payout_due()
    payout = bank.settlement(reference)
    before, now = payout.payable_since_at, timezone.now()

    with transaction.atomic():
        locked = settlements.lock(payout.pk)
        getattr(settlements, stop)(settlement=locked, reason="test", at=now)
        settlements.requeue(settlement=locked, at=now)

    assert bank.settlement(reference).payable_since_at == (before if is_ours else now)


@pytest.mark.parametrize(
    ("needed", "cursor_seqno", "cursor_s", "final_s"),
    [
        (1, 110, 40, 0),  # the block that holds it is enough
        (3, 110, 40, 8),  # ten blocks took 40 s
        (5, 102, 6, 12),  # four are needed, two took 6 s: the head is ahead of the cursor
        (5, 100, 0, 0),  # nothing is known of the spacing
        (5, 90, -40, 0),  # read ahead of the cursor
    ],
)
def test_the_block_that_confirmed_is_dated_by_the_blocks_around_it(
    needed: int, cursor_seqno: int, cursor_s: int, final_s: int
) -> None:
    row = TonTransaction(mc_seqno=100, chain_at=AT)
    deposit = Deposit(chain_transaction=row, confirmed_at_seqno=100 + needed - 1)
    cursor = ChainCursor(seqno=cursor_seqno, block_at=AT + dt.timedelta(seconds=cursor_s))

    assert final_at(deposit, cursor) == AT + dt.timedelta(seconds=final_s)
