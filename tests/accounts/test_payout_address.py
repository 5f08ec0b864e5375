"""The payout address: the first counts at once, a changed one only after the cool-down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import translation

from accounts import selectors, services
from accounts.models import Pii
from accounts.selectors import AddressCoolingDown, Destination, NoSuchUser
from accounts.services import AddressNotProved, CommentTooLong
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.messaging.models import OutboxMessage
from advertmarket.ton_address import InvalidTonAddress, friendly_address
from tests.accounts.wallets import ProvingWallet, prove

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(days=30)
DAY = timedelta(days=1)
FIRST, SECOND = "0:" + "ab" * 32, "0:" + "cd" * 32

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def user(db: None) -> None:
    with transaction.atomic():
        services.get_or_create_user(
            user_id=1, first_name="A", username="", language_code="ru", at=AT
        )


def give(
    address: str,
    at: datetime,
    comment: str = "",
    user_id: int = 1,
    *,
    typed_by_hand: bool = True,
) -> datetime:
    with transaction.atomic():
        return services.set_payout_address(
            user_id=user_id,
            address=address,
            comment=comment,
            typed_by_hand=typed_by_hand,
            actor=Actor.user(user_id),
            at=at,
        )


def events() -> list[dict[str, object]]:
    rows = OutboxMessage.objects.filter(event_type="PAYOUT_ADDRESS_CHANGED").order_by("pk")
    return [row.payload for row in rows]


def test_without_an_address_there_is_no_destination() -> None:
    assert selectors.payout_destination(user_id=1, at=AT) is None


def test_the_first_address_counts_at_once_and_is_announced_masked() -> None:
    friendly = friendly_address(FIRST, network="testnet")

    assert give(friendly, AT, comment="memo 7") == AT

    assert selectors.payout_destination(user_id=1, at=AT) == Destination(FIRST, "memo 7")
    masked = f"{friendly[:6]}…{friendly[-4:]}"
    assert events() == [
        {
            "user_id": 1,
            "address": masked,
            "proved": False,
            "effective_at": "2026-01-01T12:00:00Z",
        }
    ]
    after = AuditEntry.objects.get().after
    assert after is not None
    assert (after["address"], after["proved"]) == (masked, False)


def test_a_changed_address_waits_a_day_and_the_old_one_is_not_paid_either() -> None:
    give(FIRST, AT)

    assert give(SECOND, LATER) == LATER + DAY

    with pytest.raises(AddressCoolingDown) as refusal:
        selectors.payout_destination(user_id=1, at=LATER + DAY - timedelta(microseconds=1))
    assert refusal.value.until == LATER + DAY
    assert selectors.payout_destination(user_id=1, at=LATER + DAY) == Destination(SECOND, "")
    assert len(events()) == 2


def test_the_same_address_again_changes_nothing() -> None:
    give(FIRST, AT)
    give(SECOND, LATER)

    assert give(SECOND, LATER + timedelta(hours=1)) == LATER + DAY
    assert len(events()) == 2


def test_another_comment_is_a_change() -> None:
    give(FIRST, AT)

    assert give(FIRST, LATER, comment="memo 7") == LATER + DAY


def test_going_back_to_the_old_address_waits_too() -> None:
    give(FIRST, AT)
    give(SECOND, LATER)

    assert give(FIRST, LATER + timedelta(hours=1)) == LATER + timedelta(hours=1) + DAY


@pytest.mark.parametrize(
    ("address", "comment", "refusal"),
    [
        ("", "", InvalidTonAddress),
        ("0:" + "ab" * 31, "", InvalidTonAddress),
        (friendly_address(FIRST, network="mainnet"), "", InvalidTonAddress),
        (FIRST, "й" * 61, CommentTooLong),
    ],
)
def test_what_cannot_be_paid_to_is_refused_and_nothing_changes(
    address: str, comment: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        give(address, AT, comment=comment)

    assert not Pii.objects.exists()
    assert events() == []
    assert not AuditEntry.objects.exists()


def test_nobody_s_address_is_refused() -> None:
    with pytest.raises(NoSuchUser):
        give(FIRST, AT, user_id=2)

    assert not Pii.objects.exists()


WALLET = ProvingWallet("ann")
PROVED = WALLET.raw_address


def proved_at() -> datetime | None:
    view = selectors.payout_address(1)
    assert view is not None
    return view.proved_at


@pytest.mark.parametrize("proves", ["nothing", "another address"])
def test_an_address_neither_proved_nor_typed_by_hand_is_refused(proves: str) -> None:
    if proves == "another address":
        prove(WALLET, user_id=1, at=AT)
    before = Pii.objects.count()

    with pytest.raises(AddressNotProved):
        give(FIRST, AT, typed_by_hand=False)

    assert selectors.payout_address(1) is None
    assert Pii.objects.count() == before
    assert events() == []


def test_the_address_that_was_proved_needs_no_confirmation_and_no_warning() -> None:
    prove(WALLET, user_id=1, at=AT)

    assert give(PROVED, AT + DAY, typed_by_hand=False) == AT + DAY

    view = selectors.payout_address(1)
    assert view is not None
    assert (view.address, view.proved, view.proved_at, view.warning) == (PROVED, True, AT, "")
    assert [event["proved"] for event in events()] == [True]


def test_typed_by_hand_or_not_what_is_proved_is_proved() -> None:
    prove(WALLET, user_id=1, at=AT)

    give(PROVED, AT, typed_by_hand=True)

    assert proved_at() == AT


@pytest.mark.parametrize(
    ("language", "warning"),
    [
        ("en", "Typed by hand, not proved: money sent to a wrong address is lost."),
        (
            "ru",
            "Введён вручную, не подтверждён: деньги, ушедшие на неверный адрес, не вернуть.",
        ),
    ],
)
def test_an_address_typed_by_hand_carries_a_warning(language: str, warning: str) -> None:
    give(FIRST, AT)

    view = selectors.payout_address(1)
    assert view is not None
    assert (view.proved, view.proved_at) == (False, None)
    with translation.override(language):
        assert view.warning == warning


def test_proving_the_address_that_one_has_already_changes_only_that() -> None:
    give(FIRST, AT)
    give(PROVED, LATER)
    prove(WALLET, user_id=1, at=LATER + timedelta(hours=1))

    assert give(PROVED, LATER + timedelta(hours=2), typed_by_hand=False) == LATER + DAY

    assert proved_at() == LATER + timedelta(hours=1)
    assert len(events()) == 2


def test_an_address_stays_proved_when_another_is_proved_later() -> None:
    prove(WALLET, user_id=1, at=AT)
    give(PROVED, AT, typed_by_hand=False)
    prove(ProvingWallet("another"), user_id=1, at=AT + timedelta(hours=1))

    give(PROVED, LATER, comment="memo 7", typed_by_hand=False)

    assert proved_at() == AT


def test_a_proved_address_waits_a_day_too_when_it_is_a_change() -> None:
    give(FIRST, AT)
    prove(WALLET, user_id=1, at=LATER)

    assert give(PROVED, LATER, typed_by_hand=False) == LATER + DAY

    with pytest.raises(AddressCoolingDown):
        selectors.payout_destination(user_id=1, at=LATER)


def test_another_user_s_proof_counts_for_nobody_else() -> None:
    prove(WALLET, user_id=1, at=AT)
    with transaction.atomic():
        services.get_or_create_user(
            user_id=2, first_name="E", username="", language_code="ru", at=AT
        )

    with pytest.raises(AddressNotProved):
        give(PROVED, AT, user_id=2, typed_by_hand=False)
