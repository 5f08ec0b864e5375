"""Above 1,000 TON a deal's money waits for an operator, who is reminded."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from advertmarket.messaging.models import OutboxMessage
from payments.deposits import review
from payments.models import Deposit, Settlement
from payments.operations import deposits as operations
from payments.services import EscrowNotEmpty
from tests.payments.bank import ACTOR, Bank

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
LARGE_NANO = 2_000 * TON


def asked() -> list[tuple[int, int]]:
    """What operators were asked: the amount, and which reminder this was."""
    messages = OutboxMessage.objects.filter(event_type="DEPOSIT_NEEDS_REVIEW").order_by("pk")
    return [(one.payload["amount_nano"], one.payload["reminder"]) for one in messages]


def remind() -> None:
    with transaction.atomic():
        review.remind_of_reviews(at=timezone.now())


def approve() -> None:
    """An operator's yes to the deposit that came last."""
    deposit = Deposit.objects.latest("pk")
    with transaction.atomic():
        operations.approve(
            operations.ADeposit(deposit_id=deposit.pk, nano=deposit.amount_nano),
            evidence=None,
            reason="the advertiser is known",
            actor=ACTOR,
            at=timezone.now(),
        )


def test_a_large_deposit_waits_whole(bank: Bank) -> None:
    reference = bank.refundable_escrow(LARGE_NANO)

    bank.deposit(reference, LARGE_NANO)

    assert Deposit.objects.get().state == "REVIEW"
    assert bank.escrow(reference).state == "AWAITING"
    assert bank.holds(reference) == {"DEPOSIT_PENDING": LARGE_NANO}
    assert asked() == [(LARGE_NANO, 0)]
    assert not OutboxMessage.objects.filter(event_type="DEPOSIT_CONFIRMED").exists()


def test_exactly_a_thousand_asks_nobody(bank: Bank) -> None:
    reference = bank.refundable_escrow(1_000 * TON)

    bank.deposit(reference, 1_000 * TON)

    assert bank.escrow(reference).state == "FUNDED"
    assert asked() == []


@pytest.mark.parametrize(("hours", "reminders"), [(1.9, []), (2.1, [1]), (3.9, [1]), (4.1, [2])])
def test_operators_are_reminded_after_two_and_four_hours(
    bank: Bank, hours: float, reminders: list[int]
) -> None:
    reference = bank.refundable_escrow(LARGE_NANO)
    bank.deposit(reference, LARGE_NANO)

    with time_machine.travel(timezone.now() + dt.timedelta(hours=hours), tick=True):
        for _ in range(2):
            remind()

    assert asked()[1:] == [(LARGE_NANO, number) for number in reminders]


def test_each_reminder_comes_once(bank: Bank) -> None:
    reference = bank.refundable_escrow(LARGE_NANO)
    bank.deposit(reference, LARGE_NANO)

    for hours in range(1, 10):
        with time_machine.travel(timezone.now() + dt.timedelta(hours=hours, minutes=1)):
            remind()

    assert [number for _, number in asked()] == [0, 1, 2]


def test_who_has_decided_is_not_reminded(bank: Bank) -> None:
    reference = bank.refundable_escrow(LARGE_NANO)
    bank.deposit(reference, LARGE_NANO)
    approve()

    with time_machine.travel(timezone.now() + dt.timedelta(hours=5)):
        remind()

    assert bank.holds(reference) == {"ESCROW": LARGE_NANO}
    assert len(asked()) == 1


def test_while_an_operator_thinks_the_deal_stays_open(bank: Bank) -> None:
    reference = bank.refundable_escrow(LARGE_NANO)
    bank.deposit(reference, LARGE_NANO)

    with pytest.raises(EscrowNotEmpty):
        bank.close(reference, expired=True)

    assert bank.escrow(reference).state == "AWAITING"


def test_parts_count_together(bank: Bank) -> None:
    reference = bank.refundable_escrow(LARGE_NANO)
    bank.deposit(reference, 900 * TON)
    assert bank.holds(reference) == {"PARTIAL_DEPOSIT": 900 * TON}

    bank.deposit(reference, 1_100 * TON)

    assert bank.holds(reference) == {
        "PARTIAL_DEPOSIT": 900 * TON,
        "DEPOSIT_PENDING": 1_100 * TON,
    }
    assert asked() == [(1_100 * TON, 0)]
    approve()
    assert bank.holds(reference) == {"ESCROW": LARGE_NANO}


def test_a_strangers_dust_on_a_large_deal_asks_nobody(bank: Bank) -> None:
    reference = bank.refundable_escrow(LARGE_NANO)
    bank.deposit(reference, LARGE_NANO)
    approve()

    bank.deposit(reference, 10_000_000)

    assert len(asked()) == 1
    assert bank.holds(reference) == {"ESCROW": LARGE_NANO}


def test_what_came_too_much_for_a_large_deal_is_asked_about(bank: Bank) -> None:
    """The deal's sum decides, for what goes back too."""
    reference = bank.refundable_escrow(LARGE_NANO)
    bank.deposit(reference, LARGE_NANO)
    approve()

    bank.deposit(reference, 5 * TON)

    assert bank.holds(reference) == {"ESCROW": LARGE_NANO, "DEPOSIT_PENDING": 5 * TON}
    assert asked() == [(LARGE_NANO, 0), (5 * TON, 0)]
    assert not Settlement.objects.exists()
