"""Posting, once: each kind of ad, each kind of failure, against a local Telegram."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.state import redis_state
from advertmarket.telegram.content import Button, Media
from channels import services as channel_services
from channels.ownership import CannotAskTelegram
from channels.selectors import get_channel
from deals import services, sweeps
from deals.delivery import calls, publisher
from deals.delivery.calls import look_at, rehearse
from deals.delivery.content import digest
from deals.delivery.draft import CreativeInvalid, Draft
from deals.models import Creative, PlannedCheck, PostAttempt
from payments.models import Escrow

from .market import OLEG, OWNER, TEXT, LiveMarket, later, nothing_changes

BUTTON = Button("Order", url="https://example.com/order")
UNKNOWN = timedelta(seconds=61)


def attempts(deal_id: UUID) -> list[str]:
    rows = PostAttempt.objects.filter(deal_id=deal_id).order_by("pk")
    return list(rows.values_list("state", flat=True))


def test_a_text_is_posted_as_it_was_approved(live_market: LiveMarket) -> None:
    deal_id = live_market.published(TEXT)
    live_market.post()

    (post,) = live_market.posts()
    assert post["text"] == "Fresh coffee, see our shop"
    assert [entity["type"] for entity in post["entities"]] == ["bold", "text_link"]
    assert post["reply_markup"]["inline_keyboard"][0][0]["url"] == "https://example.com/order"
    assert attempts(deal_id) == ["POSTED"]
    assert PostAttempt.objects.get(deal_id=deal_id).message_ids == [post["message_id"]]
    assert live_market.history(deal_id)[-2:] == ["PUBLISH", "START_VERIFYING"]
    assert live_market.events(deal_id)[-2:] == ["POST_PUBLISHED", "VERIFICATION_STARTED"]
    assert get_channel(live_market.channel_id).last_message_id == post["message_id"]


def test_publication_plans_the_looks_of_a_day(live_market: LiveMarket) -> None:
    deal = live_market.deal(live_market.published())

    assert deal.published_at is not None
    planned = PlannedCheck.objects.filter(deal=deal).order_by("planned_at")
    after = [check.planned_at - deal.published_at for check in planned]
    assert {timedelta(hours=hours) for hours in (1, 4, 8, 16, 24)} <= set(after)
    assert len(after) in {6, 7}
    assert after[-1] == timedelta(hours=24)
    assert deal.retention_ends_at == deal.published_at + timedelta(hours=24)


@pytest.mark.parametrize("kind", ["PHOTO", "VIDEO", "GIF", "DOCUMENT"])
def test_a_medium_is_posted_with_caption_and_button(live_market: LiveMarket, kind: Any) -> None:
    draft = Draft("Look", media=(live_market.media(kind),), buttons=(BUTTON,))

    live_market.published(draft)

    (post,) = live_market.posts()
    name = "animation" if kind == "GIF" else kind.lower()
    assert name in post
    assert (post["caption"], "reply_markup" in post) == ("Look", True)


def test_an_albums_buttons_follow_in_a_message_of_their_own(live_market: LiveMarket) -> None:
    media = tuple(live_market.media(kind) for kind in ("PHOTO", "VIDEO", "PHOTO"))
    draft = Draft("Three", media=media, buttons=(BUTTON,), buttons_text="Order here")

    deal_id = live_market.published(draft)

    first, second, third, buttons = live_market.posts()
    assert first["media_group_id"] == second["media_group_id"] == third["media_group_id"]
    assert (first["caption"], buttons["text"]) == ("Three", "Order here")
    assert attempts(deal_id) == ["POSTED", "POSTED"]


def test_a_post_is_not_made_before_its_time(live_market: LiveMarket) -> None:
    deal_id = live_market.approved()
    when = timezone.now() + timedelta(hours=2)
    live_market.do(services.schedule_post, deal_id, OWNER, publish_at=when)

    live_market.post()
    assert (live_market.posts(), live_market.status(deal_id)) == ([], "SCHEDULED")
    with later(when):
        live_market.post()
    assert len(live_market.posts()) == 1


# --- Rehearsal ------------------------------------------------------------------------------------


def test_a_rehearsal_tells_what_telegram_makes_of_it_and_leaves_nothing(
    live_market: LiveMarket,
) -> None:
    ((content,),) = rehearse(TEXT)

    assert content.text == "Fresh coffee, see our shop"
    assert content.links == ("https://example.com/coffee",)
    assert content.buttons == (("Order", "https://example.com/order"),)
    assert live_market.telegram.messages(live_market.verifier_id) == []


@pytest.mark.parametrize(
    "draft",
    [
        Draft("<b>open", parse_mode="HTML"),
        Draft("a" * 4097),
        Draft(media=(Media("PHOTO", "no-such-file"),)),
    ],
)
def test_what_telegram_refuses_is_refused_at_the_draft(
    live_market: LiveMarket, draft: Draft
) -> None:
    with pytest.raises(CreativeInvalid):
        rehearse(draft)
    assert live_market.telegram.messages(live_market.verifier_id) == []


def test_with_telegram_away_a_draft_is_no_worse(live_market: LiveMarket) -> None:
    live_market.telegram.fault("sendMessage", code=502)

    with pytest.raises(CannotAskTelegram):
        rehearse(TEXT)


# --- When it does not work ------------------------------------------------------------------------


def test_an_answer_that_was_lost_leads_to_one_post(live_market: LiveMarket) -> None:
    deal_id = live_market.scheduled()
    live_market.telegram.fault(
        "sendMessage", chat_id=live_market.channel_id, executes=True, lost=True
    )

    live_market.post()
    assert (attempts(deal_id), live_market.status(deal_id)) == (["STARTED"], "SCHEDULED")
    with nothing_changes():
        live_market.post()  # not before the call may have taken effect
    with later(UNKNOWN):
        live_market.post()

    (post,) = live_market.posts()
    assert PostAttempt.objects.get(deal_id=deal_id).message_ids == [post["message_id"]]
    assert (attempts(deal_id), live_market.status(deal_id)) == (["POSTED"], "DELIVERY_VERIFYING")
    assert live_market.telegram.messages(live_market.verifier_id) == []


def test_a_lost_post_is_found_among_others(live_market: LiveMarket) -> None:
    deal_id = live_market.scheduled()
    live_market.telegram.send(OLEG, "news", chat_id=live_market.channel_id)
    live_market.telegram.fault(
        "sendMessage", chat_id=live_market.channel_id, executes=True, lost=True
    )

    live_market.post()
    live_market.telegram.send(OLEG, "more news", chat_id=live_market.channel_id)
    with later(UNKNOWN):
        live_market.post()

    assert PostAttempt.objects.get(deal_id=deal_id).message_ids == [2]
    assert [post.get("text") for post in live_market.posts()] == [
        "news",
        "Fresh coffee, see our shop",
        "more news",
    ]


def test_a_lost_album_is_found_and_its_buttons_follow(live_market: LiveMarket) -> None:
    media = tuple(live_market.media("PHOTO") for _ in range(2))
    draft = Draft("Two", media=media, buttons=(BUTTON,), buttons_text="Order here")
    deal_id = live_market.scheduled(draft)
    live_market.telegram.send(OLEG, "news", chat_id=live_market.channel_id)
    live_market.telegram.fault("sendMediaGroup", executes=True, lost=True)

    live_market.post()
    with later(UNKNOWN):
        live_market.post()

    rows = PostAttempt.objects.filter(deal_id=deal_id).order_by("part")
    assert [row.message_ids for row in rows] == [[2, 3], [4]]
    assert len(live_market.posts()) == 4


def test_what_cannot_be_found_is_left_to_an_operator(live_market: LiveMarket) -> None:
    deal_id = live_market.scheduled()
    live_market.telegram.fault("sendMessage", chat_id=live_market.channel_id, lost=True)

    live_market.post()
    with later(UNKNOWN):
        live_market.post()
        with nothing_changes():
            live_market.post()

    deal = live_market.deal(deal_id)
    assert (deal.status, deal.hold_reason) == ("SCHEDULED", "POST_UNRESOLVED")
    assert attempts(deal_id) == ["UNRESOLVED"]
    assert live_market.posts() == []


@pytest.mark.parametrize("known", [False, True])
def test_in_an_old_channel_a_lost_post_is_found_once_an_id_is_known(
    live_market: LiveMarket, known: bool
) -> None:
    for number in range(25):
        live_market.telegram.send(OLEG, f"news {number}", chat_id=live_market.channel_id)
    deal_id = live_market.scheduled()
    if known:  # what the bot is told of a post of Oleg's
        with transaction.atomic():
            channel_services.note_message(channel_id=live_market.channel_id, message_id=25)
    live_market.telegram.fault(
        "sendMessage", chat_id=live_market.channel_id, executes=True, lost=True
    )

    live_market.post()
    with later(UNKNOWN):
        live_market.post()

    deal, posts = live_market.deal(deal_id), live_market.posts()
    assert len(posts) == 26
    if known:
        assert (attempts(deal_id), deal.status) == (["POSTED"], "DELIVERY_VERIFYING")
    else:
        assert (attempts(deal_id), deal.hold_reason) == (["UNRESOLVED"], "POST_UNRESOLVED")
        assert "no message of the channel is known" in deal.hold_note


def test_a_search_goes_on_where_our_limits_stopped_it(
    limited_market: LiveMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_PATIENCE_S", 2.0)
    live_market = limited_market
    deal_id = live_market.scheduled()
    for number in range(7):
        live_market.telegram.send(OLEG, f"news {number}", chat_id=live_market.channel_id)
    live_market.telegram.fault(
        "sendMessage", chat_id=live_market.channel_id, executes=True, lost=True
    )
    live_market.post()

    searched = []
    for minutes in (2, 4, 6):
        redis_state().flushdb()
        with later(timedelta(minutes=minutes)):
            live_market.post()
        attempt = PostAttempt.objects.get(deal_id=deal_id)
        searched.append((attempt.state, attempt.searched_to, attempt.message_ids))

    assert searched == [("STARTED", 3, []), ("STARTED", 6, []), ("POSTED", 6, [8])]
    assert len(live_market.posts()) == 8


@pytest.mark.parametrize(
    "fault",
    [
        {"code": 429, "retry_after_s": 1},
        {"code": 403, "description": "Forbidden: bot is not a member of the channel chat"},
        {
            "code": 400,
            "description": "Bad Request: need administrator rights in the channel chat",
        },
    ],
)
def test_a_refusal_that_may_pass_is_tried_again(
    live_market: LiveMarket, fault: dict[str, Any]
) -> None:
    deal_id = live_market.scheduled()
    live_market.telegram.fault("sendMessage", chat_id=live_market.channel_id, **fault)

    live_market.post()
    deal = live_market.deal(deal_id)
    assert (deal.status, deal.held_at, attempts(deal_id)) == ("SCHEDULED", None, ["REFUSED"])
    assert "Telegram" in deal.waiting_for
    redis_state().flushdb()  # the chat's pause is over
    with later(timedelta(seconds=10)):
        live_market.post()

    assert attempts(deal_id) == ["REFUSED", "POSTED"]
    assert len(live_market.posts()) == 1


def test_a_refusal_for_good_holds_the_deal(live_market: LiveMarket) -> None:
    deal_id = live_market.scheduled()
    live_market.telegram.fault(
        "sendMessage",
        chat_id=live_market.channel_id,
        code=400,
        description="Bad Request: text must be encoded in UTF-8",
    )

    live_market.post()

    deal = live_market.deal(deal_id)
    assert (deal.status, deal.hold_reason) == ("SCHEDULED", "POST_REFUSED")
    assert "UTF-8" in deal.hold_note
    assert (attempts(deal_id), live_market.posts()) == (["REFUSED"], [])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda m: m.telegram.remove_bot(m.channel_id), "ChannelInaccessible"),
        (
            lambda m: m.telegram.add_bot(m.channel_id, can_edit_messages=False),
            "BotLacksRights",
        ),
        (lambda m: m.telegram.change_channel(m.channel_id, protected=True), "ContentProtected"),
        (
            lambda m: m.telegram.set_member(m.channel_id, OLEG, "member"),
            "UserNotAdmin",
        ),
    ],
)
def test_nothing_is_posted_where_ownership_is_gone(
    live_market: LiveMarket, spoil: Any, reason: str
) -> None:
    deal_id = live_market.scheduled()
    spoil(live_market)

    live_market.post()

    deal = live_market.deal(deal_id)
    assert (deal.status, deal.waiting_for) == ("SCHEDULED", f"the channel ({reason})")
    assert attempts(deal_id) == []
    with later(timedelta(hours=24, minutes=6)):
        sweeps.end_overdue_deals()
    assert live_market.status(deal_id) == "EXPIRED"
    assert Escrow.objects.get(reference=deal_id).state == "REFUNDED"


def test_nothing_is_sent_at_the_end_of_a_lease(
    live_market: LiveMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal_id = live_market.scheduled()

    with monkeypatch.context() as patch:
        patch.setattr(publisher, "LEASE", timedelta(seconds=59))
        live_market.post()

    deal = live_market.deal(deal_id)
    assert (attempts(deal_id), live_market.posts()) == ([], [])
    assert (deal.waiting_for, deal.leased_until) == ("a worker with time to post it", None)
    with later(timedelta(seconds=6)):
        live_market.post()
    assert attempts(deal_id) == ["POSTED"]


def test_two_posts_to_a_channel_take_turns(live_market: LiveMarket) -> None:
    first, second = live_market.scheduled(), live_market.scheduled(Draft("Hot tea"))
    live_market.telegram.fault("sendMessage", chat_id=live_market.channel_id, lost=True)

    live_market.post()

    assert (attempts(first), attempts(second)) == (["STARTED"], [])
    assert live_market.deal(second).waiting_for == "another post to the channel"


def test_the_stored_hash_is_that_of_the_post(live_market: LiveMarket) -> None:
    deal_id = live_market.published()

    (post,) = live_market.posts()
    creative = Creative.objects.get(deal_id=deal_id)
    content = look_at(live_market.channel_id, post["message_id"])
    assert digest([content]) == creative.content_hash
