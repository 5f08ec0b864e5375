"""A payout whose owner never said where to: told at once, reminded, then an operator's."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from advertmarket.messaging.models import OutboxMessage
from advertmarket.state import redis_state
from payments.sending import unclaimed
from payments.sending.pause import PAUSE_KEY
from tests.payments.bank import OWNER_ID, OWNER_SHARE_NANO, Bank

pytestmark = pytest.mark.thorough


def days_told() -> list[int]:
    """On which days the owner was told."""
    told = OutboxMessage.objects.filter(event_type="PAYOUT_UNCLAIMED").order_by("pk")
    assert {(one.payload["payee_id"], one.payload["amount_nano"]) for one in told} <= {
        (OWNER_ID, OWNER_SHARE_NANO)
    }
    return [one.payload["day"] for one in told]


def operators_told() -> list[str]:
    told = OutboxMessage.objects.filter(event_type="SETTLEMENT_STUCK").order_by("pk")
    return [one.payload["reason"] for one in told]


def remind_after(days: float) -> None:
    later = timezone.now() + dt.timedelta(days=days)
    with time_machine.travel(later, tick=True), transaction.atomic():
        unclaimed.remind(at=timezone.now())


@pytest.fixture
def reference(bank: Bank) -> UUID:
    """A deal whose owner is owed a payout, and has been told that an address is missing."""
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.execute()
    return reference


def test_the_owner_is_told_at_once_and_once(bank: Bank, reference: UUID) -> None:
    for _ in range(3):
        bank.execute()

    assert days_told() == [0]
    assert operators_told() == []
    assert bank.settlement(reference).unclaimed_since_at is not None


def test_the_owner_is_reminded_each_week_and_then_an_operator(bank: Bank, reference: UUID) -> None:
    for day in range(1, 40):
        remind_after(day + 0.01)

    assert days_told() == [0, 7, 14, 21, 30]
    assert operators_told() == ["unclaimed for 30 days"]
    assert bank.settlement(reference).state == "QUEUED"
    assert bank.holds(reference)["OWNER_PENDING"] == OWNER_SHARE_NANO


@pytest.mark.parametrize(
    ("days", "told"), [(6.99, [0]), (7.01, [0, 7]), (29.99, [0, 21]), (30.01, [0, 30])]
)
def test_a_day_counts_when_it_is_over(
    bank: Bank, reference: UUID, days: float, told: list[int]
) -> None:
    """Days that nobody was awake for are not made up for."""
    remind_after(days)
    remind_after(days)

    assert days_told() == told


def test_the_payout_goes_out_by_itself_the_day_an_address_is_set(
    bank: Bank, reference: UUID
) -> None:
    with bank.pass_time(31 * 86_400):
        with transaction.atomic():
            unclaimed.remind(at=timezone.now())
        bank.read()

        bank.set_payout_address()
        bank.settle()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.settlement(reference).state == "CONFIRMED"
    assert bank.settlement(reference).unclaimed_since_at is None


def test_once_an_address_is_set_nobody_is_reminded(bank: Bank, reference: UUID) -> None:
    bank.set_payout_address()
    bank.execute()

    remind_after(8)

    assert days_told() == [0]


def test_a_paid_owner_is_not_reminded(bank: Bank, reference: UUID) -> None:
    bank.set_payout_address()
    bank.settle()

    remind_after(31)

    assert days_told() == [0]
    assert operators_told() == []


def test_who_was_reminded_keeps_nobody_from_being_reminded(
    bank: Bank, reference: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many have waited for longer."""
    monkeypatch.setattr(unclaimed, "_BATCH", 1)
    with bank.pass_time(3 * 86_400):
        bank.read()
        later = bank.funded_escrow()
        bank.release(later)
        bank.execute()
    remind_after(7.01)
    assert days_told() == [0, 0, 7]

    remind_after(10.01)
    remind_after(10.02)

    assert days_told() == [0, 0, 7, 7]
    assert bank.settlement(later).reminded_day == 7


def test_an_address_set_while_payouts_are_paused_ends_the_reminders(
    bank: Bank, reference: UUID
) -> None:
    redis_state().set(PAUSE_KEY, "1")
    bank.set_payout_address()
    bank.execute()

    remind_after(8)

    assert days_told() == [0]
