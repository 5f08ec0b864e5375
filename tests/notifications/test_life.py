"""What both sides hear while a deal lives, money and drafts included."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.actors import Actor
from advertmarket.telegram.content import Media
from deals import moves, services, sweeps
from deals.delivery.content import Content
from deals.delivery.draft import Draft
from deals.models import Hold
from notifications.services import tell
from payments.events import SettlementStuck
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


@pytest.fixture
def funded(bank: Bank) -> UUID:
    deal_id = begin()
    at = timezone.now()
    with transaction.atomic():
        services.accept_offer(deal_id=deal_id, proof=proof(at), actor=OWNER, at=at)
        services.request_payment(deal_id=deal_id, proof=proof(at), actor=SYSTEM, at=at)
    bank.pay(deal_id, PRICE_NANO)
    bank.apply_deposits()
    sweeps.fund_deals()
    return deal_id


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
