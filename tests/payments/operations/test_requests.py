"""The door: who may ask and approve, what exactly, for how long, and what remains of it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import Operator
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.db import NoDatabaseTransaction
from advertmarket.reasons import ReasonMissing
from payments.models import OperatorRequest, Settlement
from payments.operations import requests
from payments.operations.registry import FourEyes, all_operations
from payments.operations.requests import (
    NeedsAnotherPerson,
    NotPermitted,
    RequestNotOpen,
    UnknownOperation,
)
from payments.operations.settlements import NotSeenOnChain
from tests.operators import hire
from tests.payments.bank import Bank
from tests.payments.operations.desk import REASON, Desk, about, nothing_changes

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
TIERS: dict[str, Any] = {"tiers": [{"min_nano": 0, "rate_bp": 700}]}


def test_what_needs_a_second_person_is_written_down() -> None:
    needs = {one.name: one.four_eyes for one in all_operations()}

    assert needs == {
        "commission.set_tiers": FourEyes.ALWAYS,
        "deposit.approve": FourEyes.ABOVE_LIMIT,
        "deposit.reject": FourEyes.ABOVE_LIMIT,
        "dispute.decide": FourEyes.ABOVE_LIMIT,
        "dispute.open": FourEyes.NEVER,
        "journal.reverse": FourEyes.ALWAYS,
        "payouts.pause": FourEyes.NEVER,
        "payouts.resume": FourEyes.AFTER_ALARM,
        "settlement.cancel_into_refund": FourEyes.ALWAYS,
        "settlement.change_destination": FourEyes.ALWAYS,
        "settlement.confirm": FourEyes.ALWAYS,
        "settlement.extend_unclaimed": FourEyes.NEVER,
        "settlement.hold": FourEyes.NEVER,
        "settlement.release": FourEyes.ABOVE_LIMIT,
        "settlement.retry": FourEyes.NEVER,
        "settlement.top_up": FourEyes.ALWAYS,
        "settlement.write_off": FourEyes.ALWAYS,
        "treasury.bear_fees": FourEyes.ALWAYS,
        "treasury.claim": FourEyes.ALWAYS,
        "treasury.withdraw": FourEyes.ALWAYS,
        "wallet.adopt_lost": FourEyes.ALWAYS,
        "wallet.freeze": FourEyes.NEVER,
        "wallet.send_back": FourEyes.ALWAYS,
        "wallet.unfreeze": FourEyes.ALWAYS,
    }


# --- who ------------------------------------------------------------------------------------------


def test_what_one_may_do_alone_is_done_at_once(desk: Desk) -> None:
    request = desk.ask("wallet.freeze", subwallet=0)

    stored = OperatorRequest.objects.get()
    assert stored == request
    assert (stored.state, stored.needs_second) == (OperatorRequest.State.DONE, False)
    assert (stored.requested_by, stored.decided_by) == (desk.ann, desk.ann)
    assert stored.reason == REASON


def test_what_needs_two_waits_for_the_second(desk: Desk) -> None:
    with nothing_changes(but=(OperatorRequest, AuditEntry)):
        request = desk.ask("commission.set_tiers", **TIERS)

    assert request.state == OperatorRequest.State.PENDING
    desk.approve(request)
    done = OperatorRequest.objects.get()
    assert (done.state, done.decided_by) == (OperatorRequest.State.DONE, desk.boris)


def test_everything_is_in_the_audit_log(desk: Desk) -> None:
    desk.do("commission.set_tiers", **TIERS)
    desk.do("wallet.freeze", subwallet=0)

    entries = AuditEntry.objects.filter(object_type="operator_request").order_by("pk")
    assert [(entry.action, entry.actor_id, entry.reason) for entry in entries] == [
        ("commission.set_tiers.asked", str(desk.ann), REASON),
        ("commission.set_tiers.done", str(desk.boris), REASON),
        ("wallet.freeze.done", str(desk.ann), REASON),
    ]
    assert entries[2].after == {"payload": {"subwallet": 0}, "amount_nano": 0}


def test_nobody_approves_what_they_asked_for(desk: Desk) -> None:
    request = desk.ask("commission.set_tiers", by=desk.boris, **TIERS)

    for decide in (desk.approve, desk.reject):
        with nothing_changes(), pytest.raises(NeedsAnotherPerson):
            decide(request)


def test_a_superuser_is_no_second_person(desk: Desk) -> None:
    root = hire("root", superuser=True)
    request = desk.ask("commission.set_tiers", by=root, **TIERS)

    with nothing_changes(), pytest.raises(NeedsAnotherPerson):
        desk.approve(request, by=root)


def test_the_database_itself_wants_another_person(desk: Desk) -> None:
    request = desk.ask("commission.set_tiers", **TIERS)

    with pytest.raises(IntegrityError, match="operator_request_second_is_another"):
        OperatorRequest.objects.filter(pk=request.pk).update(
            state="DONE", decided_by=desk.ann, decided_at=timezone.now()
        )


@pytest.mark.parametrize(
    "permissions", [(), ("approve_money",)], ids=["none", "only the other one"]
)
def test_whoever_may_not_act_is_refused(desk: Desk, permissions: tuple[str, ...]) -> None:
    clerk = hire("clerk", *permissions)

    with nothing_changes(), pytest.raises(NotPermitted):
        desk.ask("wallet.freeze", by=clerk, subwallet=0)


def test_whoever_may_only_act_approves_nothing(desk: Desk) -> None:
    request = desk.ask("commission.set_tiers", by=desk.boris, **TIERS)

    for decide in (desk.approve, desk.reject):
        with nothing_changes(), pytest.raises(NotPermitted):
            decide(request, by=desk.ann)


@pytest.mark.parametrize("actor", [Actor.user(1), Actor.system("anything")])
def test_only_operators_come_through(desk: Desk, actor: Actor) -> None:
    hire("root", superuser=True)

    with nothing_changes(), pytest.raises(NotPermitted), transaction.atomic():
        requests.ask(
            name="wallet.freeze",
            payload={"subwallet": 0},
            reason=REASON,
            actor=actor,
            at=timezone.now(),
        )


def test_a_blocked_operator_neither_asks_nor_approves(desk: Desk) -> None:
    request = desk.ask("commission.set_tiers", **TIERS)
    Operator.objects.filter(pk=desk.boris).update(is_active=False)

    with nothing_changes(), pytest.raises(NotPermitted):
        desk.ask("wallet.freeze", by=desk.boris, subwallet=0)
    with nothing_changes(), pytest.raises(NotPermitted):
        desk.approve(request)


def test_what_a_blocked_operator_asked_for_is_not_done(desk: Desk) -> None:
    request = desk.ask("commission.set_tiers", **TIERS)
    Operator.objects.filter(pk=desk.ann).update(is_active=False)

    with nothing_changes(), pytest.raises(RequestNotOpen):
        desk.approve(request)


# --- what -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("wallet.melt", {"subwallet": 0}),
        ("wallet.freeze", {}),
        ("wallet.freeze", {"subwallet": "0"}),
        ("wallet.freeze", {"subwallet": True}),
        ("wallet.freeze", {"subwallet": -1}),
        ("wallet.freeze", {"subwallet": 2**63}),
        ("wallet.freeze", {"subwallet": 0, "and": "more"}),
        ("settlement.hold", {"settlement_id": "1", "nano": 1}),
        ("settlement.hold", {"settlement_id": str(uuid4()), "nano": 0}),
        ("settlement.hold", {"settlement_id": str(uuid4()), "nano": 1.5}),
        ("treasury.claim", {"subwallet": 0, "nano": 1, "key": "once"}),
    ],
)
def test_a_wrong_name_or_payload_is_refused(desk: Desk, name: str, payload: dict[str, Any]) -> None:
    with nothing_changes(), pytest.raises(UnknownOperation):
        desk.ask(name, **payload)


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_an_operation_without_a_reason_is_refused(desk: Desk, reason: str) -> None:
    with nothing_changes(), pytest.raises(ReasonMissing), transaction.atomic():
        requests.ask(
            name="wallet.freeze",
            payload={"subwallet": 0},
            reason=reason,
            actor=Actor.operator(desk.ann),
            at=timezone.now(),
        )


def test_a_request_that_was_changed_is_not_carried_out(desk: Desk) -> None:
    request = desk.ask("commission.set_tiers", **TIERS)
    changed = {"tiers": [{"min_nano": 0, "max_nano": None, "rate_bp": 701}]}
    OperatorRequest.objects.update(payload=changed)

    with nothing_changes(), pytest.raises(RequestNotOpen):
        desk.approve(request)


def test_a_request_for_another_operation_is_not_carried_out(desk: Desk) -> None:
    settlement = desk.stuck_refund()
    request = desk.ask("settlement.confirm", **about(settlement))
    OperatorRequest.objects.update(action="settlement.retry")

    with nothing_changes(), pytest.raises(RequestNotOpen):
        desk.approve(request)


def test_a_refused_operation_leaves_its_request_open(desk: Desk) -> None:
    settlement = desk.stuck_refund()
    request = desk.ask("settlement.confirm", **about(settlement))

    with nothing_changes(), pytest.raises(NotSeenOnChain):
        desk.approve(request)

    assert OperatorRequest.objects.get().state == OperatorRequest.State.PENDING


# --- how long -------------------------------------------------------------------------------------


def test_a_request_lives_for_an_hour(desk: Desk) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        request = desk.ask("commission.set_tiers", **TIERS)
        clock.shift(dt.timedelta(hours=1))
        assert requests.open_requests(at=timezone.now()) == [request]
        clock.shift(dt.timedelta(microseconds=1))

        for decide in (desk.approve, desk.reject):
            with nothing_changes(), pytest.raises(RequestNotOpen):
                decide(request)
        assert requests.open_requests(at=timezone.now()) == []


def test_a_request_is_decided_once(desk: Desk) -> None:
    done = desk.do("commission.set_tiers", **TIERS)
    refused = desk.reject(desk.ask("commission.set_tiers", **TIERS))

    assert refused.state == OperatorRequest.State.REJECTED
    for request in (done, refused):
        for decide in (desk.approve, desk.reject):
            with nothing_changes(), pytest.raises(RequestNotOpen):
                decide(request)


def test_nobody_decides_about_what_is_not_there(desk: Desk) -> None:
    nothing = OperatorRequest(pk=uuid4())

    for decide in (desk.approve, desk.reject):
        with nothing_changes(), pytest.raises(RequestNotOpen):
            decide(nothing)


def test_an_operation_and_its_request_are_one_database_transaction(desk: Desk) -> None:
    with pytest.raises(NoDatabaseTransaction):
        requests.ask(
            name="wallet.freeze",
            payload={"subwallet": 0},
            reason=REASON,
            actor=Actor.operator(desk.ann),
            at=timezone.now(),
        )


# --- limits ---------------------------------------------------------------------------------------


@pytest.fixture
def held(desk: Desk, bank: Bank) -> list[Settlement]:
    """Three payouts of 90 TON each, that Boris holds."""
    found = [desk.unclaimed(bank.funded_escrow()) for _ in range(3)]
    for settlement in found:
        desk.ask("settlement.hold", by=desk.boris, **about(settlement))
    return list(Settlement.objects.order_by("created_at"))


def release(desk: Desk, settlement: Settlement, by: int | None = None) -> OperatorRequest:
    payload = {**about(settlement), "held_for": settlement.waiting_for}
    return desk.ask("settlement.release", by=by, **payload)


def test_above_the_limit_per_operation_a_second_person_decides(
    desk: Desk, held: list[Settlement], settings: Any
) -> None:
    settings.OPERATOR_LIMITS_NANO = {"operation": 90 * TON - 1, "day": 1_000 * TON}

    assert release(desk, held[0]).needs_second
    assert desk.bank.settlement(held[0].reference).state == Settlement.State.HELD
    settings.OPERATOR_LIMITS_NANO["operation"] += 1
    assert not release(desk, held[0]).needs_second
    assert desk.bank.settlement(held[0].reference).state == Settlement.State.QUEUED


def test_above_the_limit_of_a_day_a_second_person_decides(
    desk: Desk, held: list[Settlement], settings: Any
) -> None:
    settings.OPERATOR_LIMITS_NANO = {"operation": 100 * TON, "day": 180 * TON}

    alone = [release(desk, settlement).needs_second for settlement in held]

    assert alone == [False, False, True]


def test_the_limit_of_a_day_is_each_operators_own(
    desk: Desk, held: list[Settlement], settings: Any
) -> None:
    settings.OPERATOR_LIMITS_NANO = {"operation": 100 * TON, "day": 90 * TON}

    release(desk, held[0])

    assert not release(desk, held[1], by=desk.boris).needs_second
    assert release(desk, held[2]).needs_second


def test_the_limit_of_a_day_is_free_again_after_24_hours(
    desk: Desk, held: list[Settlement], settings: Any
) -> None:
    settings.OPERATOR_LIMITS_NANO = {"operation": 100 * TON, "day": 90 * TON}
    release(desk, held[0])

    with time_machine.travel(timezone.now() + dt.timedelta(hours=23, minutes=59), tick=True):
        assert release(desk, held[1]).needs_second
    with time_machine.travel(timezone.now() + dt.timedelta(hours=24), tick=True):
        assert not release(desk, held[1]).needs_second


def test_a_hold_uses_up_no_limit(desk: Desk, held: list[Settlement], settings: Any) -> None:
    """Boris held three times 90 TON."""
    settings.OPERATOR_LIMITS_NANO = {"operation": 100 * TON, "day": 90 * TON}

    assert not release(desk, held[0], by=desk.boris).needs_second


def test_what_a_second_person_approved_uses_up_no_limit(
    desk: Desk, held: list[Settlement], settings: Any
) -> None:
    settings.OPERATOR_LIMITS_NANO = {"operation": 0, "day": 90 * TON}
    desk.approve(release(desk, held[0]))
    settings.OPERATOR_LIMITS_NANO["operation"] = 100 * TON

    assert not release(desk, held[1]).needs_second
