"""What wakes somebody about the money: seen in a life that is lived, and only there."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone, translation

from advertmarket.money import NANO_PER_TON
from advertmarket.state import redis_state
from ops.metrics.money import transfers_that_are_stuck
from ops.situation.money import tell_stopped, tell_stuck
from payments import wallets
from payments.deposits import review
from payments.models import ChainCursor, Deposit, Settlement, Wallet
from payments.sending import pause, settlements
from payments.sending.pause import PAUSE_KEY
from tests.ops.incidents.seeing import names, seen
from tests.payments.bank import ACTOR, Bank

HOUR = dt.timedelta(hours=1)


def later(duration: dt.timedelta) -> time_machine.travel:
    return time_machine.travel(timezone.now() + duration, tick=True)


def stuck() -> list[str]:
    return names(seen("transfers_go_out"))


# --- transfers ------------------------------------------------------------------------------------


def test_a_transfer_is_stuck_after_an_hour(bank: Bank) -> None:
    settlement = bank.settlement(bank.payout_due())
    with later(HOUR - dt.timedelta(seconds=5)):
        assert stuck() == []

    with later(HOUR + dt.timedelta(seconds=5)):
        [cause] = seen("transfers_go_out")

    assert cause.id == f"payout_stuck:{settlement.pk}"
    assert cause.facts["amount"] == "90"
    assert (cause.facts["transfer"], cause.facts["state"]) == ("PAYOUT", "QUEUED")
    assert cause.since == settlement.payable_since_at
    assert cause.page == f"/admin/payments/settlement/{settlement.pk}/change/"


@pytest.mark.parametrize(
    ("after", "found"), [(HOUR - dt.timedelta(seconds=5), 0), (HOUR + dt.timedelta(seconds=5), 1)]
)
def test_the_watch_status_and_prometheus_mean_the_same_by_stuck(
    bank: Bank, after: dt.timedelta, found: int
) -> None:
    bank.payout_due()

    with later(after):
        assert len(stuck()) == found
        assert tell_stuck(timezone.now()).says == str(found)
        assert list(transfers_that_are_stuck()) == [("PAYOUT", 1)][:found]


def test_what_needs_an_operator_is_told_at_once_as_stopped(bank: Bank) -> None:
    settlement = bank.settlement(bank.payout_due())
    Settlement.objects.filter(pk=settlement.pk).update(state="NEEDS_OPERATOR")

    assert tell_stopped(timezone.now()).says == "1"
    assert tell_stuck(timezone.now()).says == "0"
    Settlement.objects.filter(pk=settlement.pk).update(state=settlement.state)


@pytest.mark.parametrize(
    ("state", "found"),
    [("NEEDS_OPERATOR", 1), ("SUBMITTED", 1), ("HELD", 0), ("CANCELLED", 0)],
)
def test_what_waits_for_an_operator_is_stuck_and_what_is_held_or_over_is_not(
    bank: Bank, state: str, found: int
) -> None:
    settlement = bank.settlement(bank.payout_due())
    Settlement.objects.filter(pk=settlement.pk).update(state=state)

    with later(2 * HOUR):
        assert len(stuck()) == found

    Settlement.objects.filter(pk=settlement.pk).update(state=settlement.state)


def test_nobody_is_woken_for_an_owner_who_gave_no_address_or_a_new_one(bank: Bank) -> None:
    nowhere = bank.funded_escrow()
    bank.release(nowhere)
    with bank.pass_time(2 * 3_600):
        bank.read()
        bank.execute()
        assert bank.settlement(nowhere).unclaimed_since_at is not None
        assert stuck() == []

        bank.set_payout_address()
        bank.set_payout_address(address=bank.advertiser.raw_address)
    with bank.pass_time(2 * 3_600):
        bank.read()
        bank.execute()
        assert bank.settlement(nowhere).waiting_for.startswith("the address, which counts from ")

        assert stuck() == []


def test_an_unclaimed_payout_that_nobody_looks_at_is_not_ours_until_there_is_an_address(
    bank: Bank,
) -> None:
    """While another transfer of its wallet is under way it is not tried."""
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.execute()
    with later(2 * HOUR):
        assert bank.settlement(reference).unclaimed_since_at is not None
        assert stuck() == []

        bank.set_payout_address()
    with later(4 * HOUR):
        assert stuck() == [f"payout_stuck:{bank.settlement(reference).pk}"]


def test_a_sweep_that_waits_for_what_else_the_wallet_owes_wakes_nobody(bank: Bank) -> None:
    reference = bank.payout_due()
    bank.settle()
    bank.sweep()
    bank.deposit(reference)  # late: it is owed back
    refund = bank.settlement(reference, Settlement.Kind.LATE_DEPOSIT_REFUND)
    Settlement.objects.filter(pk=refund.pk).update(state="HELD", waiting_for="an operator's word")
    with bank.pass_time(2 * 3_600):
        bank.read()
        bank.execute()
        sweep = bank.settlement(reference, Settlement.Kind.COMMISSION_SWEEP)
        assert (sweep.state, sweep.waiting_for) == ("QUEUED", "the wallet to owe nothing else")

        assert stuck() == []


def test_whatever_the_words_what_waits_for_its_payee_is_not_stuck(bank: Bank) -> None:
    payout = Settlement.objects.filter(pk=bank.settlement(bank.payout_due()).pk)
    payout.update(waiting_for="the end of a pause: none that anybody knows of")
    with later(2 * HOUR):
        assert stuck() == [f"payout_stuck:{payout.get().pk}"]

        payout.update(payable_since_at=timezone.now())
        assert stuck() == []


def test_a_try_of_what_needs_an_operator_does_not_begin_its_hour_anew(bank: Bank) -> None:
    pk = bank.settlement(bank.payout_due()).pk
    with later(2 * HOUR):
        with transaction.atomic():
            locked = settlements.lock(pk)
            settlements.give_up(settlement=locked, reason="a test", at=timezone.now())

        assert stuck() == [f"payout_stuck:{pk}"]


def test_all_that_wait_for_the_end_of_a_pause_are_one_incident(bank: Bank) -> None:
    references = [bank.payout_due() for _ in range(2)]
    with later(HOUR / 2), transaction.atomic():
        paused_at = timezone.now()
        pause.pause(actor=ACTOR, reason="a leak", at=paused_at)
    redis_state().set(PAUSE_KEY, "1")
    with later(HOUR * 5 / 4):  # of which three quarters are the pause's
        bank.execute()
        assert stuck() == []
    with later(2 * HOUR):
        bank.execute()
        [cause] = seen("transfers_go_out")
    redis_state().delete(PAUSE_KEY)

    assert cause.id == "payouts_paused"
    assert (cause.facts["count"], cause.facts["amount"]) == (len(references), "180")
    assert cause.facts["waiting_for"] == "system:pause_payouts is set"
    assert cause.since == paused_at


def test_what_is_stored_of_a_pause_is_english(bank: Bank) -> None:
    reference = bank.payout_due()
    redis_state().set(PAUSE_KEY, "1")

    with translation.override("ru"), later(2 * HOUR):
        bank.execute()
        [cause] = seen("transfers_go_out")

    waiting_for = bank.settlement(reference).waiting_for
    assert waiting_for == "the end of a pause: system:pause_payouts is set"
    assert cause.facts["waiting_for"] == "system:pause_payouts is set"


def test_a_pause_that_is_over_is_no_incident(bank: Bank) -> None:
    bank.payout_due()
    redis_state().set(PAUSE_KEY, "1")
    with later(2 * HOUR):
        bank.execute()
        assert stuck() == ["payouts_paused"]
        redis_state().delete(PAUSE_KEY)

        assert stuck() == []


def test_of_many_stuck_ones_the_oldest_have_an_incident_each(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.incidents.detectors.money.EACH", 1)
    first, *others = [bank.settlement(bank.payout_due()).pk for _ in range(3)]

    with later(2 * HOUR):
        causes = seen("transfers_go_out")

    assert names(causes) == [f"payout_stuck:{first}", "payouts_stuck"]
    assert causes[1].facts == {"count": len(others), "amount": "180"}


# --- wallets -------------------------------------------------------------------------------------


def test_a_frozen_wallet(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen("wallets_sign") == []
    for wallet in Wallet.objects.order_by("subwallet")[:2]:
        with transaction.atomic():
            wallets.freeze(wallet=wallet, reason="somebody else used the key", at=timezone.now())

    first, _second = seen("wallets_sign")
    assert first.id == "wallet_frozen:0"
    assert first.facts == {"subwallet": 0, "reason": "somebody else used the key"}

    monkeypatch.setattr("ops.incidents.detectors.money.EACH", 1)
    assert names(seen("wallets_sign")) == ["wallet_frozen:0", "wallets_frozen"]
    Wallet.objects.update(frozen_at=None, frozen_reason="")


# --- deposits and the chain -----------------------------------------------------------------------


@pytest.fixture
def in_review(bank: Bank) -> Deposit:
    """A deposit that an operator has to approve."""
    reference = bank.refundable_escrow(2_000 * NANO_PER_TON)
    bank.deposit(reference, 2_000 * NANO_PER_TON)
    return Deposit.objects.get(escrow_id=reference, state="REVIEW")


def test_a_large_deposit_is_reminded_of_and_then_told_to_others(
    bank: Bank, in_review: Deposit
) -> None:
    assert seen("deposits_are_decided") == []  # operators were told when it came

    with later(review.REVIEW_REMINDERS[0]):
        [reminder] = seen("deposits_are_decided")
    assert (reminder.id, reminder.level) == (f"deposit_waits:{in_review.pk}:2", 0)
    assert (reminder.kind.severity, reminder.facts["amount"]) == ("P2", "2000")

    with later(review.REVIEW_REMINDERS[1]):
        [_, escalation] = seen("deposits_are_decided")
    assert (escalation.id, escalation.level) == (f"deposit_waits:{in_review.pk}:4", 1)


def test_the_chain_reader_stands_still(bank: Bank) -> None:
    assert seen("chain_is_read") == []
    with later(dt.timedelta(minutes=29)):
        assert seen("chain_is_read") == []
    with later(dt.timedelta(minutes=31)):
        assert names(seen("chain_is_read")) == ["chain_behind"]


def test_the_chain_was_never_read(bank: Bank) -> None:
    ChainCursor.objects.all().delete()
    assert seen("chain_is_read") == []
    with later(dt.timedelta(minutes=31)):
        [cause] = seen("chain_is_read")
    assert cause.facts["read_at"] == "—"
    bank.read()


def found_late(reference: UUID, minutes: int) -> None:
    """As if the reader had come to the deposit's block so late."""
    deposit = Deposit.objects.get(escrow_id=reference)
    assert deposit.chain_transaction.chain_at is not None
    seen_at = deposit.chain_transaction.chain_at + dt.timedelta(minutes=minutes)
    Deposit.objects.filter(pk=deposit.pk).update(seen_at=seen_at)


def test_a_deposit_that_was_found_late(bank: Bank) -> None:
    reference = bank.funded_escrow()
    found_late(reference, 29)
    assert seen("deposits_are_found_in_time") == []

    found_late(reference, 31)

    [cause] = seen("deposits_are_found_in_time")
    assert cause.id == "deposits_late"
    assert (cause.facts["count"], cause.facts["minutes"]) == (1, 31)
    assert cause.facts["deal"] == str(reference)
    with later(2 * HOUR):
        assert seen("deposits_are_found_in_time") == []


# --- tables that stand still ----------------------------------------------------------------------


def test_settlements_that_nobody_takes(bank: Bank) -> None:
    settlement = bank.settlement(bank.payout_due())
    assert seen("due_rows_are_taken") == []

    with later(dt.timedelta(minutes=6)):
        [cause] = seen("due_rows_are_taken")
        assert cause.id == "table_stands:settlements"
        assert (cause.facts["count"], cause.facts["row"]) == (1, str(settlement.pk))

        leased_until = timezone.now() + dt.timedelta(seconds=60)
        Settlement.objects.update(lease_owner=UUID(int=1), leased_until=leased_until)
        assert seen("due_rows_are_taken") == []
    Settlement.objects.update(lease_owner=None, leased_until=None)


def test_deposits_whose_rule_nobody_applies(bank: Bank) -> None:
    reference = bank.refundable_escrow()
    bank.pay(reference)
    with later(dt.timedelta(minutes=6)):
        assert seen("due_rows_are_taken") == []  # due for a block or two
        bank.chain.mine(30)
        while bank.read_new():
            pass

        [cause] = seen("due_rows_are_taken")
        assert cause.id == "table_stands:deposits"

        bank.apply_deposits()
        assert seen("due_rows_are_taken") == []
