"""What operators hear: whatever will not go on before one of them has acted."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Operator
from advertmarket.money import NANO_PER_TON
from advertmarket.telegram.models import OutgoingMessage
from notifications.services import tell
from payments.events import DepositNeedsReview
from payments.sending import settlements
from tests.notifications.life import begin, heard, tell_all
from tests.payments.bank import PRICE_NANO, Bank, Kind

VERA, BORIS, LEFT = 9001, 9002, 9003
ADMIN = "https://bot.example.org/admin/payments"


@pytest.fixture(autouse=True)
def operators(bank: Bank, settings: Settings) -> None:
    """Vera reads English, Boris Russian; one left, and one has no Telegram account here."""
    settings.PUBLIC_URL = "https://bot.example.org"
    for name, chat_id, language in (
        ("vera", VERA, "en"),
        ("boris", BORIS, "ru"),
        ("left", LEFT, "en"),
        ("silent", None, "en"),
    ):
        Operator.objects.create(
            username=name, telegram_id=chat_id, language=language, is_active=name != "left"
        )


def told() -> list[str]:
    """What Vera hears of transfers that are stuck, however often Kafka brings it."""
    for _ in range(2):
        tell_all("SETTLEMENT_STUCK")
    return [message.text for message in heard(VERA)]


def payout_beyond_the_limit(bank: Bank, settings: Settings) -> UUID:
    settings.SIGNING_LIMITS_NANO = dict.fromkeys(("transfer", "hour", "day"), NANO_PER_TON)
    return bank.payout_due()


def refund(bank: Bank, settings: Settings) -> UUID:
    reference = bank.addressless_escrow()
    bank.refund(reference)
    return reference


def partial_refund(bank: Bank, settings: Settings) -> UUID:
    reference = bank.open_escrow()
    bank.deposit(reference, 40 * NANO_PER_TON)
    bank.close(reference)
    return reference


def overpayment(bank: Bank, settings: Settings) -> UUID:
    reference = bank.refundable_escrow()
    bank.deposit(reference, PRICE_NANO + 20 * NANO_PER_TON)
    return reference


def late_deposit(bank: Bank, settings: Settings) -> UUID:
    reference = bank.open_escrow()
    bank.close(reference)
    bank.deposit(reference, 7 * NANO_PER_TON)
    return reference


def sweep(bank: Bank, settings: Settings) -> UUID:
    reference = bank.payout_due()
    bank.settle()
    bank.sweep()
    held = bank.settlement(reference, Kind.COMMISSION_SWEEP)
    with transaction.atomic():
        settlements.hold(settlement=held, reason="a test", at=timezone.now())
    return reference


def top_up(bank: Bank, settings: Settings) -> UUID:
    bank.set_payout_address()
    reference = bank.funded_escrow()
    bank.release(reference, PRICE_NANO)  # no commission that could pay the fee
    bank.execute()
    return reference


@pytest.mark.parametrize(
    ("live", "kind", "text"),
    [
        (
            payout_beyond_the_limit,
            Kind.PAYOUT,
            "<b>PAYOUT, 90 TON: the limit per transfer is reached.</b>",
        ),
        (refund, Kind.REFUND, "<b>REFUND, 100 TON: no refund address.</b>"),
        (
            partial_refund,
            Kind.PARTIAL_DEPOSIT_REFUND,
            "<b>PARTIAL_DEPOSIT_REFUND, 40 TON: no refund address.</b>",
        ),
        (
            overpayment,
            Kind.OVERPAYMENT_REFUND,
            "<b>OVERPAYMENT_REFUND, 20 TON: an operator's word: far more than the price.</b>",
        ),
        (
            late_deposit,
            Kind.LATE_DEPOSIT_REFUND,
            "<b>LATE_DEPOSIT_REFUND, 7 TON: no refund address.</b>",
        ),
        (sweep, Kind.COMMISSION_SWEEP, "<b>COMMISSION_SWEEP, 10 TON: a test.</b>"),
        (top_up, Kind.GAS_TOPUP, "<b>GAS_TOPUP, 0.01 TON: the treasury cannot pay.</b>"),
    ],
)
@pytest.mark.thorough
def test_whatever_is_stuck_is_told_to_operators_once(
    bank: Bank,
    settings: Settings,
    live: Callable[[Bank, Settings], UUID],
    kind: Kind,
    text: str,
) -> None:
    reference = live(bank, settings)
    for _ in range(3):
        bank.execute()

    assert told() == [f"{text}\n\nIt waits for an operator."]
    [message] = heard(VERA)
    assert message.about_money
    pk = bank.settlement(reference, kind).pk
    [[button]] = message.buttons
    assert (button["label"], button["url"]) == ("Open", f"{ADMIN}/settlement/{pk}/change/")


def test_a_deposit_in_review_is_told_once_and_its_reminders_are_incidents() -> None:
    deal_id = begin()
    for reminder in range(3):
        for _ in range(2):
            with transaction.atomic():
                tell(
                    event=DepositNeedsReview(
                        deal_id=deal_id,
                        deposit_id=5,
                        amount_nano=2_000 * NANO_PER_TON,
                        reason="",
                        reminder=reminder,
                    ),
                    at=timezone.now(),
                )

    assert [message.text for message in heard(VERA)] == [
        "<b>A deposit of 2000 TON for the deal with News &amp; &lt;views&gt;.</b>\n\n"
        "It waits for an operator's yes or no."
    ]
    assert heard(VERA)[0].buttons[0][0]["url"] == f"{ADMIN}/deposit/5/change/"


def withdrawal(bank: Bank) -> None:
    """The treasury owes the cold address something that an operator has to look at."""
    with transaction.atomic():
        settlements.owe(
            kind=Kind.TREASURY_WITHDRAWAL,
            reference=settlements.TREASURY_REFERENCE,
            wallet=bank.treasury(),
            destination=bank.owner.raw_address,
            amount_nano=NANO_PER_TON,
            held_for="<a word>",
            at=timezone.now(),
        )


def test_the_platforms_own_money_is_told_too(bank: Bank) -> None:
    withdrawal(bank)

    assert told() == [
        "<b>TREASURY_WITHDRAWAL, 1 TON: &lt;a word&gt;.</b>\n\nIt waits for an operator."
    ]


def test_every_operator_with_a_telegram_account_is_told_in_their_language(bank: Bank) -> None:
    withdrawal(bank)
    told()

    [boris] = heard(BORIS)
    assert boris.text == (
        "<b>TREASURY_WITHDRAWAL, 1 TON: &lt;a word&gt;.</b>\n\nПеревод ждёт оператора."
    )
    assert boris.buttons[0][0]["label"] == "Открыть"
    assert len(heard(VERA)) == 1
    assert OutgoingMessage.objects.count() == 2
