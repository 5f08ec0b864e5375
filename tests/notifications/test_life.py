"""What both sides hear while a deal lives, money and drafts included."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from accounts import services as accounts
from advertmarket.actors import Actor
from advertmarket.messaging.events import Event
from advertmarket.messaging.models import OutboxMessage
from advertmarket.money import NANO_PER_TON
from advertmarket.telegram.content import Media
from deals import endings, moves, services, sweeps
from deals.delivery.content import Content
from deals.delivery.draft import Draft
from deals.disputes import services as disputes
from deals.models import Hold
from notifications.models import Delivery
from notifications.services import tell
from payments.events import (
    DepositNeedsReview,
    DepositOverpaid,
    DepositPartial,
    PayoutUnclaimed,
    RefundAddressChanged,
    SettlementConfirmed,
    SettlementStuck,
)
from payments.models import Deposit
from payments.operations import deposits as review
from tests.notifications.life import (
    ADVERTISER,
    ANNA,
    OLEG,
    OWNER,
    PRICE_NANO,
    begin,
    heard,
    proof,
    tell_all,
)
from tests.payments.bank import OWNER_ID, Bank

SYSTEM = Actor.system("test")
DAY_AND_GRACE_S = 86_400 + 301


@pytest.fixture
def unpaid(bank: Bank) -> UUID:
    deal_id = begin()
    at = timezone.now()
    with transaction.atomic():
        services.accept_offer(deal_id=deal_id, proof=proof(at), actor=OWNER, at=at)
        services.request_payment(deal_id=deal_id, proof=proof(at), actor=SYSTEM, at=at)
    return deal_id


@pytest.fixture
def funded(bank: Bank, unpaid: UUID) -> UUID:
    bank.pay(unpaid, PRICE_NANO)
    bank.apply_deposits()
    sweeps.fund_deals()
    return unpaid


def submit(deal_id: UUID, text: str, *media: Media) -> None:
    content = Content(
        text,
        links=("https://example.org/<x>",),
        media=tuple(medium.file_unique_id for medium in media),
        buttons=(("Buy", "https://b.uy/"),),
    )
    with transaction.atomic():
        services.submit_creative(
            deal_id=deal_id,
            draft=Draft(text=text, media=media),
            parts=((content,),),
            actor=OWNER,
            at=timezone.now(),
        )


def test_deposit_draft_and_revision_are_told(funded: UUID) -> None:
    submit(funded, "Hello <world>")
    tell_all()

    draft = heard(ANNA)[-1]
    assert draft.text == (
        "<b>News &amp; &lt;views&gt; sent the ad for your approval:</b>\n\n"
        "Hello &lt;world&gt;\n🔗 https://example.org/&lt;x&gt;\n[Buy] https://b.uy/"
    )
    assert [b["label"] for b in draft.buttons[0]] == ["Approve", "Ask for a revision"]
    assert [m.text.split("\n")[0] for m in heard(ANNA)[:2]] == [
        "<b>News &amp; &lt;views&gt; accepted your offer.</b>",
        "<b>Your deposit of 100 TON arrived.</b>",
    ]

    with transaction.atomic():
        services.request_revision(
            deal_id=funded, note="shorter & <louder>", actor=ADVERTISER, at=timezone.now()
        )
    tell_all()

    assert [m.text.split("\n")[0] for m in heard(OLEG)[1:]] == [
        "<b>100 TON для канала News &amp; &lt;views&gt; — на эскроу.</b>",
        "<b>Рекламодатель просит доработать рекламу</b> для канала News &amp; &lt;views&gt;.",
    ]
    assert heard(OLEG)[-1].text.endswith("\n\nshorter &amp; &lt;louder&gt;")


def test_a_notice_is_wanted_since_its_event_was_published(funded: UUID) -> None:
    tell_all()

    published = OutboxMessage.objects.filter(key=funded, event_type="DEAL_FUNDED").get()
    deliveries = Delivery.objects.filter(deal_id=funded, template="ESCROW_FUNDED")
    assert [one.message.wanted_at for one in deliveries] == [published.created_at] * 2


NOT_ALL = "This message does not show all of it: open the deal to see and approve the ad."


def test_a_draft_too_long_for_a_message_is_approved_in_the_app(funded: UUID) -> None:
    submit(funded, "x" * 4096)
    tell_all()

    notice = heard(ANNA)[-1]
    assert len(notice.text) < 4096
    assert f"…\n🔗 https://example.org/&lt;x&gt;\n[Buy] https://b.uy/\n\n{NOT_ALL}" in notice.text
    assert [[b["label"] for b in row] for row in notice.buttons] == [["Open"]]


def test_a_draft_that_fits_is_shown_whole(funded: UUID) -> None:
    submit(funded, "x" * 3_000)
    tell_all()

    notice = heard(ANNA)[-1]
    assert "x" * 3_000 + "\n🔗" in notice.text
    assert [b["label"] for b in notice.buttons[0]] == ["Approve", "Ask for a revision"]


def test_media_are_named_and_looked_at_in_the_app(funded: UUID) -> None:
    submit(funded, "Look", Media("PHOTO", "file", "unique"))
    tell_all()

    notice = heard(ANNA)[-1]
    assert "📎 photo\nLook\n🔗 https://example.org/&lt;x&gt;\n[Buy] https://b.uy/" in notice.text
    assert notice.text.endswith(NOT_ALL)
    assert [[b["label"] for b in row] for row in notice.buttons] == [["Open"]]


def dispute(deal_id: UUID) -> None:
    submit(deal_id, "Hello")
    with transaction.atomic():
        disputes.open_dispute(
            deal_id=deal_id,
            reason=disputes.Reason.QUALITY,
            statement="bad & <ugly>",
            actor=ADVERTISER,
            at=timezone.now(),
        )


def test_a_dispute_and_its_decision_are_told(funded: UUID) -> None:
    dispute(funded)
    tell_all()

    assert heard(OLEG)[-1].text.startswith(
        "<b>По сделке для канала News &amp; &lt;views&gt; на 100 TON открыт спор:</b> "
        "реклама не та, о которой договорились."
    )
    assert "dispute" not in heard(ANNA)[-1].text  # it was she who opened it

    with transaction.atomic():
        disputes.decide_dispute(
            deal_id=funded,
            decision=disputes.Decision.SPLIT,
            owner_bp=2_500,
            reason="a draft & <no> post",
            actor=Actor.operator(1),
            at=timezone.now(),
        )
    tell_all()

    annas, olegs = heard(ANNA)[-1], heard(OLEG)[-1]
    assert annas.text == (
        "<b>The dispute about the deal with News &amp; &lt;views&gt; is decided: the money is "
        "divided.</b>\n\na draft &amp; &lt;no&gt; post"
    )
    assert "деньги делятся" in olegs.text
    assert annas.about_money


def test_a_wish_to_cancel_is_told_to_the_other_side_and_the_refund_to_both(funded: UUID) -> None:
    for actor in (OWNER, ADVERTISER):
        with transaction.atomic():
            endings.cancel_deal(deal_id=funded, actor=actor, at=timezone.now())
    tell_all()

    assert heard(ANNA)[-1].text.startswith("<b>The channel News &amp; &lt;views&gt; asks to cancel")
    assert heard(OLEG)[-1].text == "Сделка для канала News &amp; &lt;views&gt; на 100 TON отменена."


def expire(bank: Bank, deal_id: UUID) -> None:
    """The deadline and its grace pass, and the deal ends."""
    with bank.pass_time(DAY_AND_GRACE_S):
        bank.read()
        sweeps.end_overdue_deals()


def test_the_end_of_a_deal_that_was_paid_in_part_says_what_goes_back(
    bank: Bank, unpaid: UUID
) -> None:
    bank.deposit(unpaid, 40 * NANO_PER_TON)
    expire(bank, unpaid)
    tell_all()

    notice = heard(ANNA)[-1]
    assert notice.text == (
        "The deal with News &amp; &lt;views&gt; over 100 TON expired: its deadline passed. "
        "40 TON go back to you."
    )
    assert notice.about_money
    assert heard(OLEG)[-1].text == (
        "Сделка для канала News &amp; &lt;views&gt; на 100 TON истекла: её срок прошёл."
    )


def test_the_end_of_a_deal_says_nothing_of_dust(bank: Bank, unpaid: UUID) -> None:
    bank.deposit(unpaid, NANO_PER_TON // 100)
    expire(bank, unpaid)
    tell_all()

    notice = heard(ANNA)[-1]
    assert notice.text == (
        "The deal with News &amp; &lt;views&gt; over 100 TON expired: its deadline passed."
    )
    assert not notice.about_money


def test_a_rejected_deposit_is_told_to_go_back(bank: Bank, unpaid: UUID) -> None:
    bank.deposit(unpaid, 40 * NANO_PER_TON)
    bank.deposit(unpaid, 2_000 * NANO_PER_TON)
    with transaction.atomic():
        review.reject(
            review.ADeposit(deposit_id=Deposit.objects.latest("pk").pk, nano=2_000 * NANO_PER_TON),
            evidence=None,
            reason="nobody knows them",
            actor=Actor.operator(1),
            at=timezone.now(),
        )
    with transaction.atomic():
        endings.cancel_rejected(deal_id=unpaid, actor=SYSTEM, at=timezone.now())
    tell_all()

    notice = heard(ANNA)[-1]
    assert notice.text == (
        "The deal with News &amp; &lt;views&gt; over 100 TON was cancelled. "
        "2040 TON go back to you."
    )
    assert notice.about_money


LATE = "<b>7 TON came for the deal with News &amp; &lt;views&gt; after it had ended.</b>\n\n"


@pytest.mark.parametrize(
    ("address_is_given", "where_to"),
    [
        (True, "They go back to your refund address."),
        (False, "Open the deal and say where they go back to."),
    ],
)
def test_who_pays_after_the_end_hears_where_the_money_goes(
    bank: Bank, unpaid: UUID, address_is_given: bool, where_to: str
) -> None:
    if address_is_given:
        bank.set_refund_address(unpaid)
    with transaction.atomic():
        endings.cancel_deal(deal_id=unpaid, actor=ADVERTISER, at=timezone.now())
    bank.deposit(unpaid, 7 * NANO_PER_TON)
    tell_all()

    notice = heard(ANNA)[-1]
    assert notice.text == LATE + where_to
    assert notice.about_money


def test_what_goes_back_is_told_in_russian_too(bank: Bank, unpaid: UUID) -> None:
    with transaction.atomic():
        accounts.set_language(user_id=ANNA, language="ru", at=timezone.now())
    bank.deposit(unpaid, 40 * NANO_PER_TON)
    expire(bank, unpaid)
    bank.deposit(unpaid, 7 * NANO_PER_TON)
    tell_all()

    expired, late = heard(ANNA)[-2:]
    assert expired.text == (
        "Сделка с каналом News &amp; &lt;views&gt; на 100 TON истекла: срок прошёл. "
        "Вам возвращаются 40 TON."
    )
    assert late.text == (
        "<b>7 TON по сделке с каналом News &amp; &lt;views&gt; пришли после её окончания.</b>\n\n"
        "Откройте сделку и укажите, куда их вернуть."
    )


@pytest.mark.parametrize(
    ("event_class", "facts", "expected"),
    [
        (
            DepositPartial,
            {"received_nano": 40 * NANO_PER_TON, "missing_nano": 60 * NANO_PER_TON},
            "40 TON arrived for the deal with News &amp; &lt;views&gt;; 60 TON are missing.",
        ),
        (
            DepositOverpaid,
            {"excess_nano": 2 * NANO_PER_TON, "needs_operator": False},
            "They go back to your refund address.",
        ),
        (
            DepositOverpaid,
            {"excess_nano": 90 * NANO_PER_TON, "needs_operator": True},
            "That is so much that an operator looks at it first; then they go back.",
        ),
        (
            DepositNeedsReview,
            {"deposit_id": 1, "amount_nano": 2000 * NANO_PER_TON, "reason": "", "reminder": 0},
            "Your deposit of 2000 TON for the deal with News &amp; &lt;views&gt; arrived.",
        ),
        (
            RefundAddressChanged,
            {"address": "UQab…cdef", "proved": True, "effective_at": timezone.now()},
            "A refund of the deal with News &amp; &lt;views&gt; goes to UQab…cdef</b> from",
        ),
        (
            RefundAddressChanged,
            {"address": "UQab…cdef", "proved": False, "effective_at": timezone.now()},
            "The address was typed by hand and is not proved",
        ),
        (
            SettlementConfirmed,
            {
                "settlement_id": UUID(int=1),
                "kind": "REFUND",
                "payee_id": ANNA,
                "amount_nano": 99 * NANO_PER_TON,
                "tx_hash": "ab12",
            },
            "99 TON were sent back to you.",
        ),
        (
            PayoutUnclaimed,
            {"settlement_id": UUID(int=1), "payee_id": ANNA, "amount_nano": NANO_PER_TON, "day": 7},
            "1 TON are yours, and nobody knows where to send them.",
        ),
        (
            PayoutUnclaimed,
            {
                "settlement_id": UUID(int=1),
                "payee_id": ANNA,
                "amount_nano": NANO_PER_TON,
                "day": 30,
            },
            "An operator now decides what becomes of them",
        ),
    ],
)
def test_what_becomes_of_money_is_told(
    funded: UUID, event_class: type[Event], facts: dict[str, Any], expected: str
) -> None:
    with transaction.atomic():
        tell(event=event_class(deal_id=funded, **facts), at=timezone.now())

    [message] = heard(ANNA)
    assert expected in message.text
    assert message.about_money


@pytest.mark.parametrize(
    "event",
    [
        DepositNeedsReview(deal_id=UUID(int=1), deposit_id=1, amount_nano=1, reason="", reminder=1),
        SettlementStuck(
            deal_id=UUID(int=1),
            settlement_id=UUID(int=1),
            kind="PAYOUT",
            payee_id=ANNA,
            reason="unclaimed for 30 days",
        ),
        SettlementConfirmed(
            deal_id=UUID(int=1),
            settlement_id=UUID(int=1),
            kind="REFUND",
            payee_id=None,
            amount_nano=1,
            tx_hash="",
        ),
    ],
)
def test_what_others_are_told_or_nobody(funded: UUID, event: Event) -> None:
    with transaction.atomic():
        tell(event=event, at=timezone.now())

    assert heard(ANNA) == []


def test_both_sides_hear_that_a_deal_waits_for_an_operator(funded: UUID) -> None:
    with transaction.atomic():
        moves.hold(
            deal=moves.lock(funded),
            reason=Hold.POST_UNRESOLVED,
            note="for operators",
            actor=SYSTEM,
            at=timezone.now(),
        )
    tell_all()

    annas, olegs = heard(ANNA)[-1], heard(OLEG)[-1]
    assert annas.text.startswith(
        "<b>The deal with News &amp; &lt;views&gt; over 100 TON waits for an operator.</b>"
    )
    assert olegs.text.startswith(
        "<b>Сделка для канала News &amp; &lt;views&gt; на 100 TON ждёт оператора.</b>"
    )
    assert "for operators" not in annas.text + olegs.text


def test_payout_that_waits_for_an_address_is_told_with_its_amount(bank: Bank) -> None:
    reference = bank.payout_due()
    stuck = SettlementStuck(
        deal_id=reference,
        settlement_id=bank.settlement(reference).pk,
        kind="PAYOUT",
        payee_id=OWNER_ID,
        reason="no payout address",
    )

    with transaction.atomic():
        tell(event=stuck, at=timezone.now())

    [message] = heard(OWNER_ID)
    assert message.text.startswith("<b>Your payout of 90 TON waits.</b>")
    assert message.buttons[-1][0]["url"] == "https://t.me/advertmarket_bot?startapp=profile"
