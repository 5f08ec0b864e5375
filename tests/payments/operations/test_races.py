"""Operators beside each other and beside the executor; controls show that the races are real."""

from __future__ import annotations

from typing import Any

import pytest

from advertmarket.messaging.models import OutboxMessage
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.models import CommissionTier, Deposit, OperatorRequest, Settlement, TonTransaction
from payments.operations import requests, settlements, tiers
from payments.operations.requests import RequestNotOpen
from payments.operations.settlements import NotAsItStands
from payments.sending import settlements as owed
from payments.sending.executor import Executor
from payments.sending.transfers import NeedsGas
from tests.operators import hire
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.lines import before, line_of
from tests.payments.operations.desk import Desk, about
from tests.payments.threads import Meanwhile, elsewhere, together

pytestmark = pytest.mark.thorough

S = Settlement.State
AFTER_THE_LOOK = line_of(Executor._sign, "now = timezone.now()")
BEFORE_THE_BROADCAST = line_of(Executor._broadcast, "self._client.send(")
BEFORE_THE_WAIT = line_of(Executor._finish, "self._wait(pk, wait)")


# --- two operators --------------------------------------------------------------------------------


def test_a_request_is_carried_out_once_however_many_approve(desk: Desk, bank: Bank) -> None:
    third = hire("third", "approve_money")
    settlement = desk.stuck_refund()
    request = desk.ask("settlement.write_off", **about(settlement, "settlement.write_off"))

    runs = together(*[lambda by=by: desk.approve(request, by=by) for by in (desk.boris, third)])

    refusals = [run.exception() for run in runs if run.exception()]
    assert [type(refusal) for refusal in refusals] == [RequestNotOpen]
    assert ledger.balance(PerDeal.REFUND_PENDING.of(settlement.reference)) == 0


def test_an_approval_that_waited_for_a_rejection_does_nothing(desk: Desk, bank: Bank) -> None:
    third = hire("third", "approve_money")
    settlement = desk.stuck_refund()
    request = desk.ask("settlement.write_off", **about(settlement, "settlement.write_off"))

    approving = Meanwhile(lambda: desk.approve(request, by=third))
    with before(line_of(requests.reject, "request.save()"), approving):
        desk.reject(request)

    with pytest.raises(RequestNotOpen):
        approving.result()
    assert bank.settlement(settlement.reference, Settlement.Kind.REFUND).state == S.QUEUED


@pytest.fixture
def two_held(desk: Desk, bank: Bank, settings: Any) -> list[dict[str, Any]]:
    """Two held payouts of 90 TON: one of them may be released alone today."""
    settings.OPERATOR_LIMITS_NANO = {"operation": 100 * 10**9, "day": 100 * 10**9}
    found = []
    for _ in range(2):
        settlement = desk.unclaimed(bank.funded_escrow())
        desk.on("settlement.hold", settlement)
        held_for = bank.settlement(settlement.reference).waiting_for
        found.append({**about(settlement), "held_for": held_for})
    return found


COUNTED = line_of(requests._carry_out, "operation.do(")


def test_two_windows_share_the_limit_of_a_day(desk: Desk, two_held: list[dict[str, Any]]) -> None:
    first, second = two_held

    other = Meanwhile(lambda: desk.ask("settlement.release", **second))
    with before(COUNTED, other):
        assert not desk.ask("settlement.release", **first).needs_second

    result = other.result()
    assert isinstance(result, OperatorRequest)
    assert result.needs_second


def test_without_the_lock_both_windows_would_have_the_whole_limit(
    desk: Desk, two_held: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control."""
    monkeypatch.setattr(requests, "hold_name", lambda _name: None)
    first, second = two_held

    other = Meanwhile(lambda: desk.ask("settlement.release", **second))
    with before(COUNTED, other):
        assert not desk.ask("settlement.release", **first).needs_second

    result = other.result()
    assert isinstance(result, OperatorRequest)
    assert not result.needs_second


TIERS: list[dict[str, Any]] = [{"tiers": [{"min_nano": 0, "rate_bp": rate}]} for rate in (100, 200)]
REPLACED = line_of(tiers.set_tiers, "CommissionTier.objects.bulk_create(")


def replace_tiers_twice(desk: Desk) -> None:
    asked = [desk.ask("commission.set_tiers", **payload) for payload in TIERS]
    other = Meanwhile(lambda: desk.approve(asked[1]))
    with before(REPLACED, other):
        desk.approve(asked[0])
    other.result()


def test_tiers_replaced_twice_at_once_are_the_later_ones(desk: Desk) -> None:
    replace_tiers_twice(desk)

    assert [tier.rate_bp for tier in CommissionTier.objects.all()] == [200]


def test_without_the_lock_both_would_stay(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(tiers, "hold_name", lambda _name: None)

    replace_tiers_twice(desk)

    assert CommissionTier.objects.count() == 2


def test_a_deposit_is_approved_or_rejected_once(desk: Desk, bank: Bank) -> None:
    reference = bank.open_escrow(2_000 * 10**9)
    bank.chain.faucet(bank.wallet(reference).address, 2_000 * 10**9)
    bank.chain.mine(5)
    bank.read()
    bank.apply_deposits()
    payload = {"deposit_id": Deposit.objects.get().pk, "nano": 2_000 * 10**9}
    asked = [desk.ask(f"deposit.{word}", **payload) for word in ("approve", "reject")]

    runs = together(*[lambda one=one: desk.approve(one) for one in asked])

    assert sum(run.exception() is None for run in runs) == 1
    decided = [ledger.balance(kind.of(reference)) for kind in PerDeal]
    assert sorted(decided) == [0] * 7 + [2_000 * 10**9]


# --- an operator and the executor -----------------------------------------------------------------


def test_a_payout_held_while_the_executor_looks_is_not_signed(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()
    settlement = bank.settlement(reference)

    with before(AFTER_THE_LOOK, lambda: elsewhere(lambda: desk.on("settlement.hold", settlement))):
        bank.execute()
    bank.settle(turns=2)

    assert bank.attempts(reference) == []
    assert bank.settlement(reference).state == S.HELD


def test_a_payout_given_back_while_the_executor_looks_is_not_paid(desk: Desk, bank: Bank) -> None:
    bank.set_payout_address()
    reference = bank.addressless_escrow()
    bank.release(reference)
    settlement = bank.settlement(reference)

    def give_back() -> None:
        desk.on("settlement.cancel_into_refund", settlement)

    with before(AFTER_THE_LOOK, lambda: elsewhere(give_back)):
        bank.execute()
    bank.settle(turns=2)

    assert bank.owner_has() == 0
    assert TonTransaction.objects.filter(direction="OUT").count() == 0
    assert ledger.balance(PerDeal.REFUND_PENDING.of(reference)) == PRICE_NANO


def test_a_payout_sent_elsewhere_while_the_executor_looks_goes_there(
    desk: Desk, bank: Bank
) -> None:
    reference = bank.payout_due()
    settlement, other = bank.settlement(reference), "0:" + "ab" * 32

    def change() -> None:
        desk.on("settlement.change_destination", settlement, address=other)

    with before(AFTER_THE_LOOK, lambda: elsewhere(change)):
        bank.execute()
    bank.settle()

    assert bank.owner_has() == 0
    assert bank.chain.balance(other) == OWNER_SHARE_NANO


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("settlement.hold", {}),
        ("settlement.cancel_into_refund", {}),
        ("settlement.change_destination", {"address": "0:" + "ab" * 32}),
    ],
)
def test_what_was_signed_while_the_operator_asked_is_paid(
    desk: Desk, bank: Bank, name: str, more: dict[str, Any]
) -> None:
    reference = bank.payout_due()
    settlement = bank.settlement(reference)
    refusals: list[BaseException] = []

    def ask() -> None:
        with pytest.raises(NotAsItStands) as refusal:
            desk.on(name, settlement, **more)
        refusals.append(refusal.value)

    with before(BEFORE_THE_BROADCAST, lambda: elsewhere(ask)):
        bank.execute()
    bank.settle()

    assert len(refusals) == 1
    assert bank.owner_received() == [OWNER_SHARE_NANO]


def test_an_operator_who_waits_for_the_signature_is_refused(desk: Desk, bank: Bank) -> None:
    """The executor has the wallet: what it stores meanwhile, the operator sees."""
    reference = bank.payout_due()
    name = "settlement.cancel_into_refund"
    request = desk.ask(name, **about(bank.settlement(reference), name))

    giving_back = Meanwhile(lambda: desk.approve(request))
    with before(line_of(Executor._store_attempt, "TonTransaction.objects.create("), giving_back):
        bank.execute()

    with pytest.raises(NotAsItStands):
        giving_back.result()
    bank.settle()
    assert bank.owner_received() == [OWNER_SHARE_NANO]


@pytest.mark.leaves_findings
def test_without_the_look_at_attempts_what_the_owner_gets_would_be_owed_back_as_well(
    desk: Desk, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: what landed cannot be booked, and its wallet is frozen."""
    reference = bank.payout_due()
    bank.execute()
    monkeypatch.setattr(settlements, "_STANDING", tuple(S))
    monkeypatch.setattr(TonTransaction, "LIVE", ())

    desk.on("settlement.cancel_into_refund", bank.settlement(reference))

    bank.read()
    bank.read()
    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.holds(reference) == {"REFUND_PENDING": PRICE_NANO}
    assert "a message of a cancelled transfer landed" in bank.wallet(reference).frozen_reason


def out_of_gas(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Settlement:
    """A payout whose wallet lacks more than a fee: the executor will give it up."""
    reference = bank.payout_due()

    def lacks(**_: object) -> None:
        raise NeedsGas(10**9)

    monkeypatch.setattr("payments.sending.executor.plan", lacks)
    return bank.settlement(reference)


@pytest.mark.parametrize(
    ("name", "state"),
    [("settlement.hold", S.HELD), ("settlement.cancel_into_refund", S.CANCELLED)],
)
def test_what_an_operator_decided_is_not_undone_by_an_executor_that_gives_up(
    desk: Desk, bank: Bank, monkeypatch: pytest.MonkeyPatch, name: str, state: S
) -> None:
    settlement = out_of_gas(bank, monkeypatch)

    with before(BEFORE_THE_WAIT, lambda: elsewhere(lambda: desk.on(name, settlement))):
        bank.executor().run(at_most=1)

    after = Settlement.objects.get(pk=settlement.pk)
    assert after.state == state
    assert after.lease_owner is None


def test_an_executor_that_was_not_overtaken_gives_up(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control of the above."""
    settlement = out_of_gas(bank, monkeypatch)

    bank.executor().run(at_most=1)

    assert Settlement.objects.get(pk=settlement.pk).state == S.NEEDS_OPERATOR


def test_a_confirmation_beside_the_executors_own_is_one(desk: Desk, bank: Bank) -> None:
    reference = bank.payout_due()
    bank.execute()
    bank.read()
    bank.chain.mine()
    request = desk.ask("settlement.confirm", **about(bank.settlement(reference)))

    approving = Meanwhile(lambda: desk.approve(request))
    with before(line_of(owed.confirm, "attempt.state ="), approving):
        bank.execute()

    with pytest.raises(settlements.NotSeenOnChain):
        approving.result()
    assert bank.settlement(reference).state == S.CONFIRMED
    assert OutboxMessage.objects.filter(event_type="SETTLEMENT_CONFIRMED").count() == 1
