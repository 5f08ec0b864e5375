"""Who hears what of a deal, in which language, and how often."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from accounts import services as accounts
from advertmarket.messaging.consumer import Outcome
from advertmarket.messaging.events import registered
from advertmarket.messaging.models import ProcessedEvent
from advertmarket.money import NANO_PER_TON
from advertmarket.telegram.callbacks import unpack
from advertmarket.telegram.models import OutgoingMessage
from channels.events import ChannelRegistered
from deals import endings, events, services
from deals.permissions import DealNotFound
from notifications.catalogue import NOTICES
from notifications.models import Delivery
from notifications.services import tell
from payments.events import SettlementConfirmed
from tests.accounts.wallets import ProvingWallet, prove
from tests.notifications.life import (
    ADVERTISER,
    ANNA,
    CHANNEL,
    OLEG,
    OWNER,
    begin,
    heard,
    proof,
    tell_all,
)

pytestmark = pytest.mark.django_db

DealEventClass = type[events.DealEvent]
ADDRESS = "0:" + "ab" * 32
OTHER_ADDRESS = "0:" + "cd" * 32


def deal_event(event_class: DealEventClass, deal_id: UUID) -> events.DealEvent:
    """What the system did to the deal; ids are all that counts."""
    return event_class(
        deal_id=deal_id,
        from_status="A",
        to_status="B",
        deal_version=9,
        actor="system:test",
        advertiser_id=ANNA,
        owner_id=OLEG,
        channel_id=0,
        price_nano=0,
    )


@pytest.fixture
def deal_id() -> UUID:
    return begin()


def test_offer_reaches_the_owner_with_buttons_and_escaped_words(deal_id: UUID) -> None:
    tell_all()

    [notice] = heard(OLEG)
    assert notice.text == (
        "<b>Новое предложение</b> для канала News &amp; &lt;views&gt;: 100 TON\n\n"
        "Say &lt;b&gt;hello&lt;/b&gt; &amp; wave"
    )
    [[accept, reject], [open_]] = notice.buttons
    assert (accept["label"], reject["label"]) == ("Принять", "Отклонить")
    assert unpack(accept["callback_data"]).deal_id == deal_id
    assert [unpack(b["callback_data"]).action for b in (accept, reject)] == ["accept", "reject"]
    assert open_["url"] == f"https://t.me/advertmarket_bot?startapp=deal_{deal_id}"
    assert heard(ANNA) == []


def test_late_offer_asks_for_nothing(deal_id: UUID) -> None:
    with transaction.atomic():
        endings.cancel_deal(deal_id=deal_id, actor=ADVERTISER, at=timezone.now())

    tell_all()

    assert [[b["label"] for b in row] for row in heard(OLEG)[0].buttons] == [["Открыть"]]


def test_every_event_twice_is_told_once(deal_id: UUID) -> None:
    with transaction.atomic():
        services.reject_offer(deal_id=deal_id, actor=OWNER, at=timezone.now())

    assert tell_all() == [Outcome.HANDLED] * 3
    assert tell_all() == [Outcome.REPEATED] * 3
    ProcessedEvent.objects.all().delete()
    assert tell_all() == [Outcome.HANDLED] * 3

    assert Delivery.objects.count() == OutgoingMessage.objects.count() == 2
    templates = Delivery.objects.order_by("id").values_list("template", "chat_id", "deal_id")
    assert list(templates) == [("NEW_OFFER", OLEG, deal_id), ("OFFER_REJECTED", ANNA, deal_id)]


def test_who_did_it_is_told_nothing(deal_id: UUID) -> None:
    with transaction.atomic():
        endings.cancel_deal(deal_id=deal_id, actor=ADVERTISER, at=timezone.now())

    tell_all()

    assert heard(ANNA) == []
    assert [m.text for m in heard(OLEG)][1:] == [
        "Сделка для канала News &amp; &lt;views&gt; на 100 TON отменена."
    ]


def test_refusal_is_told_to_the_advertiser(deal_id: UUID) -> None:
    with transaction.atomic():
        services.reject_offer(deal_id=deal_id, actor=OWNER, at=timezone.now())

    tell_all()

    assert [m.text for m in heard(ANNA)] == [
        "News &amp; &lt;views&gt; declined your offer of 100 TON."
    ]


def test_nobody_is_asked_to_pay_before_there_is_an_address(deal_id: UUID) -> None:
    with transaction.atomic():
        services.accept_offer(
            deal_id=deal_id, proof=proof(timezone.now()), actor=OWNER, at=timezone.now()
        )

    tell_all()
    assert heard(ANNA) == []
    with transaction.atomic():
        tell(event=deal_event(events.PaymentRequested, deal_id), at=timezone.now())

    [notice] = heard(ANNA)
    assert notice.text.startswith("<b>News &amp; &lt;views&gt; accepted your offer.</b>")


def test_notice_for_an_unreachable_person_is_kept_for_later(deal_id: UUID) -> None:
    with transaction.atomic():
        accounts.mark_unreachable(user_id=OLEG, at=timezone.now())

    tell_all()

    assert [m.state for m in heard(OLEG)] == ["UNREACHABLE"]


def test_changed_payout_address_is_told_as_about_money(deal_id: UUID) -> None:
    with transaction.atomic():
        at = timezone.now()
        for address, when in ((ADDRESS, at), (OTHER_ADDRESS, at + timedelta(seconds=1))):
            accounts.set_payout_address(
                user_id=ANNA, address=address, typed_by_hand=True, actor=ADVERTISER, at=when
            )

    tell_all()

    first, changed = heard(ANNA)
    effective_at = at + timedelta(days=1, seconds=1)
    assert f"</b> from {effective_at:%d.%m.%Y %H:%M} UTC on." in changed.text
    assert OTHER_ADDRESS not in changed.text
    assert changed.buttons[0][0]["url"] == "https://t.me/advertmarket_bot?startapp=profile"
    assert first.about_money
    assert changed.about_money


@pytest.mark.parametrize("proved", [True, False])
def test_a_payout_address_that_is_not_proved_is_told_with_a_warning(
    deal_id: UUID, proved: bool
) -> None:
    at = timezone.now()
    wallet = ProvingWallet("anna")
    with transaction.atomic():
        if proved:
            prove(wallet, user_id=ANNA, at=at)
        accounts.set_payout_address(
            user_id=ANNA,
            address=wallet.raw_address,
            typed_by_hand=not proved,
            actor=ADVERTISER,
            at=at,
        )

    tell_all()

    (told,) = heard(ANNA)
    assert ("money sent to a wrong address is lost" in told.text) is not proved
    assert "write to support at once" in told.text


@transaction.atomic
def channel_registered(*, creator_id: int | None) -> None:
    event = ChannelRegistered(
        deal_id=UUID(int=1), channel_id=CHANNEL, owner_id=OLEG, creator_id=creator_id
    )
    tell(event=event, at=timezone.now())


def test_a_channels_creator_hears_who_registered_it(deal_id: UUID) -> None:
    channel_registered(creator_id=ANNA)

    [notice] = heard(ANNA)
    assert notice.text.startswith(
        "<b>Your channel News &amp; &lt;views&gt; was registered here by Oleg</b>"
    )
    assert heard(OLEG) == []


@pytest.mark.parametrize("creator_id", [OLEG, None, 999])
def test_nobody_is_told_of_their_own_channel_nor_strangers(
    deal_id: UUID, creator_id: int | None
) -> None:
    channel_registered(creator_id=creator_id)

    assert OutgoingMessage.objects.count() == 0


def test_event_of_a_deal_that_is_not_there_is_refused(deal_id: UUID) -> None:
    missing = deal_event(events.OfferSubmitted, UUID(int=5))

    with transaction.atomic(), pytest.raises(DealNotFound):
        tell(event=missing, at=timezone.now())

    assert OutgoingMessage.objects.count() == 0


@pytest.mark.parametrize(
    "event_class",
    [
        events.PaymentRequested,
        events.DealFunded,
        events.CreativeApproved,
        events.PostPublished,
        events.DeliveryVerified,
        events.DealExpired,
    ],
)
def test_what_the_system_did_is_told_to_those_whom_it_concerns(
    deal_id: UUID, event_class: DealEventClass
) -> None:
    with transaction.atomic():
        tell(event=(event := deal_event(event_class, deal_id)), at=timezone.now())

    expected = [n for n in NOTICES if n.event is event_class and n.when(event)]
    told = heard(ANNA) + heard(OLEG)
    assert len(told) == len(expected)
    for message in told:
        assert "News &amp; &lt;views&gt;" in message.text
        assert [button["label"] for button in message.buttons[0]] in (["Open"], ["Открыть"])


def test_transitions_without_a_notice_are_not_listened_to() -> None:
    heard_of = {notice.event for notice in NOTICES}

    assert {cls for cls in registered() if issubclass(cls, events.DealEvent)} - heard_of == {
        events.OfferAccepted,
        events.PostScheduled,
        events.VerificationStarted,
        events.DealCompleted,
        events.DisputeEscalated,
        events.DealPartiallyRefunded,
    }


def test_payout_is_told_to_its_payee_and_other_settlements_are_not(deal_id: UUID) -> None:
    for kind in ("PAYOUT", "SWEEP"):
        confirmed = SettlementConfirmed(
            deal_id=deal_id,
            settlement_id=UUID(int=1),
            kind=kind,
            payee_id=OLEG,
            amount_nano=90 * NANO_PER_TON,
            tx_hash="ab12",
        )
        with transaction.atomic():
            tell(event=confirmed, at=timezone.now())

    [message] = heard(OLEG)
    assert message.text == ("<b>Вам выплачено 90 TON.</b>\n\nВ блокчейне: <code>ab12</code>")
    assert message.about_money


def test_no_notice_stands_twice() -> None:
    texts = [(n.event, n.to, str(n.text)) for n in NOTICES]
    assert len(set(texts)) == len(texts)


def test_notices_about_money_are_marked() -> None:
    assert {n.template for n in NOTICES if n.about_money} == {
        "ESCROW_FUNDED",
        "DELIVERY_VERIFIED",
        "CHANNEL_REGISTERED",
        "DEAL_CANCELLED",
        "DEAL_EXPIRED",
        "DEAL_HELD",
        "DEPOSIT_IN_REVIEW",
        "DEPOSIT_LATE",
        "DEPOSIT_OVERPAID",
        "DEPOSIT_PARTIAL",
        "DISPUTE_OPENED",
        "DISPUTE_RESOLVED",
        "LARGE_DEPOSIT_REVIEW",
        "PAYOUT_STUCK",
        "PAYOUT_TAKEN_BACK",
        "REFUND_ADDRESS_CHANGED",
        "REFUND_SENT",
        "SETTLEMENT_STUCK",
        "PAYOUT_SENT",
        "PAYOUT_UNCLAIMED",
        "PAYOUT_ADDRESS_CHANGED",
    }
