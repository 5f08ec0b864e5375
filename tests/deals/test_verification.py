"""Looking at posts: every verdict against a local Telegram, and what follows from each."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from advertmarket.state import redis_state
from advertmarket.telegram.content import Button
from deals import sweeps
from deals.delivery import calls, records
from deals.delivery.draft import Draft
from deals.models import DisputeEvidence, PlannedCheck, PostingCheck
from payments import selectors as payments

from .market import PRICE_NANO, LiveMarket, later, nothing_changes

LONG = "word " * 40
AD = Draft(LONG + "https://example.com", buttons=(Button("Order", url="https://a.example/"),))
ORDER = [[{"text": "Order", "url": "https://a.example/"}]]
OTHER = [[{"text": "Order", "url": "https://evil.example/"}]]


class Dice(random.Random):
    """Throws the middle of what it may."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2

    def randint(self, a: int, b: int) -> int:
        return a


@pytest.fixture(autouse=True)
def the_surprise_is_after_12_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no test meets a look that it did not expect."""
    monkeypatch.setattr(secrets, "SystemRandom", Dice)


def edit(**fields: Any) -> Callable[[LiveMarket, int], object]:
    """A person edits the post."""
    return lambda market, post_id: market.telegram.edit_post(market.channel_id, post_id, **fields)


def delete(market: LiveMarket, post_id: int) -> None:
    market.telegram.delete_post(market.channel_id, post_id)


def protect(market: LiveMarket, _post_id: int) -> None:
    market.telegram.change_channel(market.channel_id, protected=True)


def remove_bot(market: LiveMarket, _post_id: int) -> None:
    market.telegram.remove_bot(market.channel_id)


def make_private(market: LiveMarket, _post_id: int) -> None:
    market.telegram.remove_bot(market.channel_id, kicked=True)


def verdicts(deal_id: UUID) -> list[str]:
    rows = PostingCheck.objects.filter(deal_id=deal_id).order_by("id")
    return list(rows.values_list("verdict", flat=True))


def assert_nothing_is_paid(deal_id: UUID) -> None:
    escrow = payments.escrow_view(deal_id)
    assert escrow is not None
    assert (escrow.state, escrow.balances["ESCROW"]) == ("FUNDED", PRICE_NANO)
    assert payments.payout_view(deal_id) is None


def test_an_ad_that_stays_earns_the_payout(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    ends_at = live_market.deal(deal_id).retention_ends_at

    looks = 0
    while (at := live_market.next_check_at(deal_id)) != ends_at:
        with later(at):
            looks += live_market.check_all()
    assert looks == 5
    assert live_market.status(deal_id) == "DELIVERY_VERIFYING"
    assert_nothing_is_paid(deal_id)
    with later(at):
        assert live_market.check_all() == 1
        with nothing_changes():
            live_market.check_all()

    assert verdicts(deal_id) == ["PASSED"] * (looks + 1)
    assert live_market.status(deal_id) == "DELIVERY_VERIFIED"
    assert live_market.history(deal_id).count("VERIFY") == 1
    escrow, payout = payments.escrow_view(deal_id), payments.payout_view(deal_id)
    assert escrow is not None
    assert payout is not None
    assert escrow.balances["OWNER_PENDING"] == payout.amount_nano == PRICE_NANO * 9 // 10
    assert escrow.balances["COMMISSION"] == PRICE_NANO // 10
    assert live_market.telegram.messages(live_market.verifier_id) == []


@pytest.mark.parametrize(
    ("spoil", "verdict", "reason"),
    [
        (edit(text="Something else", buttons=ORDER), "EDITED", "POST_EDITED"),
        (edit(text=AD.text, buttons=OTHER), "EDITED", "POST_EDITED"),
        (edit(text=AD.text, buttons=[]), "EDITED", "POST_EDITED"),
        (
            edit(text=f'<a href="https://evil.example">{AD.text}</a>', html=True, buttons=ORDER),
            "EDITED",
            "POST_EDITED",
        ),
        (
            edit(text=AD.text.replace("word", "wort", 1), buttons=ORDER),
            "EDITED_SLIGHTLY",
            "POST_EDITED_SLIGHTLY",
        ),
        (protect, "UNKNOWN", "INCONCLUSIVE"),
        (remove_bot, "CHANNEL_UNREACHABLE", "CHANNEL_UNREACHABLE"),
        (make_private, "CHANNEL_UNREACHABLE", "CHANNEL_UNREACHABLE"),
    ],
)
def test_a_spoiled_post_is_disputed_and_not_paid(
    live_market: LiveMarket, spoil: Callable[[LiveMarket, int], object], verdict: str, reason: str
) -> None:
    deal_id = live_market.published(AD)
    spoil(live_market, live_market.posts()[0]["message_id"])

    with later(live_market.next_check_at(deal_id)):
        live_market.check_all()

    assert verdicts(deal_id) == [verdict]
    assert live_market.disputed_for(deal_id) == reason
    assert DisputeEvidence.objects.get().kind == "SYSTEM_CHECK"
    assert live_market.history(deal_id)[-1] == "DISPUTE"
    with later(timedelta(days=3)), nothing_changes():
        live_market.check_all()
        sweeps.end_overdue_deals()
    assert_nothing_is_paid(deal_id)


@pytest.mark.parametrize(
    ("asleep", "verdict"), [(timedelta(hours=2), "PASSED"), (timedelta(hours=10), "INCONCLUSIVE")]
)
def test_looks_after_an_outage_say_nothing_of_it(
    live_market: LiveMarket, asleep: timedelta, verdict: str
) -> None:
    deal_id = live_market.published(AD)
    published_at = live_market.deal(deal_id).published_at
    assert published_at is not None
    with later(published_at + timedelta(hours=1)):
        live_market.check_all()

    with later(published_at + timedelta(hours=1) + asleep + timedelta(minutes=1)):
        live_market.check_all()

    assert set(verdicts(deal_id)) == {"PASSED"}
    assert (live_market.disputed_for(deal_id) or "PASSED") == verdict
    assert_nothing_is_paid(deal_id)


def test_a_last_look_long_after_the_one_before_pays_nothing(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    ends_at = live_market.deal(deal_id).retention_ends_at
    while (at := live_market.next_check_at(deal_id)) != ends_at:
        with later(at):
            live_market.check_all()

    with later(at + timedelta(hours=5, minutes=50)):
        live_market.check_all()
        with nothing_changes():
            live_market.check_all()

    assert set(verdicts(deal_id)) == {"PASSED"}
    assert live_market.disputed_for(deal_id) == "INCONCLUSIVE"
    assert_nothing_is_paid(deal_id)


def test_formatting_alone_passes(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    edit(text=f"<b>{AD.text}</b>", html=True, buttons=ORDER)(
        live_market, live_market.posts()[0]["message_id"]
    )

    with later(live_market.next_check_at(deal_id)):
        live_market.check_all()

    assert verdicts(deal_id) == ["PASSED"]
    assert live_market.disputed_for(deal_id) is None


def test_a_deletion_is_suspected_then_confirmed_by_both_probes(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    delete(live_market, live_market.posts()[0]["message_id"])
    first_at = live_market.next_check_at(deal_id)

    with later(first_at):
        live_market.check_all()
    assert (verdicts(deal_id), live_market.disputed_for(deal_id)) == (["SUSPECTED"], None)
    with later(first_at + timedelta(minutes=4, seconds=50)), nothing_changes():
        live_market.check_all()
    with later(first_at + timedelta(minutes=5, seconds=10)):
        live_market.check_all()

    assert verdicts(deal_id) == ["SUSPECTED", "DELETED"]
    assert live_market.disputed_for(deal_id) == "POST_DELETED"
    assert_nothing_is_paid(deal_id)


def test_a_post_that_is_there_after_all_was_not_deleted(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    live_market.telegram.fault(
        "forwardMessage", code=400, description="Bad Request: message to forward not found"
    )
    first_at = live_market.next_check_at(deal_id)

    with later(first_at):
        live_market.check_all()
    with later(first_at + timedelta(minutes=6)):
        live_market.check_all()

    assert verdicts(deal_id) == ["SUSPECTED", "PASSED"]
    assert live_market.disputed_for(deal_id) is None


def public(market: LiveMarket) -> UUID:
    """An ad in a channel that anybody finds by its name."""
    market.telegram.change_channel(market.channel_id, username="morning_city")
    return market.published(AD)


def test_a_channel_that_became_private_is_disputed(live_market: LiveMarket) -> None:
    deal_id = public(live_market)
    at = live_market.next_check_at(deal_id)
    with later(at):
        live_market.check_all()
    live_market.telegram.change_channel(live_market.channel_id, username="")

    with later(live_market.next_check_at(deal_id)):
        live_market.check_all()

    assert verdicts(deal_id) == ["PASSED", "CHANNEL_PRIVATE"]
    assert live_market.disputed_for(deal_id) == "CHANNEL_PRIVATE"
    assert_nothing_is_paid(deal_id)


def test_a_channel_with_another_name_is_still_public(live_market: LiveMarket) -> None:
    deal_id = public(live_market)
    live_market.telegram.change_channel(live_market.channel_id, username="evening_city")

    with later(live_market.next_check_at(deal_id)):
        live_market.check_all()

    assert verdicts(deal_id) == ["PASSED"]


def test_a_channel_that_cannot_be_asked_for_is_asked_again(live_market: LiveMarket) -> None:
    deal_id = public(live_market)
    at = live_market.next_check_at(deal_id)
    live_market.telegram.fault("getChat", code=502)

    with later(at):
        live_market.check_all()
    with later(at + timedelta(seconds=15)):
        live_market.check_all()

    assert verdicts(deal_id) == ["API_ERROR", "PASSED"]


def test_each_message_is_suspected_and_confirmed_by_itself(live_market: LiveMarket) -> None:
    album = Draft("Two", media=tuple(live_market.media("PHOTO") for _ in range(2)))
    deal_id = live_market.published(album)
    live_market.telegram.fault(
        "forwardMessage", code=400, description="Bad Request: message to forward not found"
    )
    at = live_market.next_check_at(deal_id)
    with later(at):
        live_market.check_all()  # the first one is not found, but is there

    delete(live_market, live_market.posts()[1]["message_id"])
    with later(at + timedelta(minutes=6)):
        live_market.check_all()
    assert verdicts(deal_id) == ["SUSPECTED", "SUSPECTED"]
    with later(at + timedelta(minutes=12)):
        live_market.check_all()

    assert verdicts(deal_id) == ["SUSPECTED", "SUSPECTED", "DELETED"]
    assert DisputeEvidence.objects.get().content.startswith("message 2:")


def test_another_messages_api_error_hastens_no_confirmation(live_market: LiveMarket) -> None:
    album = Draft("Two", media=tuple(live_market.media("PHOTO") for _ in range(2)))
    deal_id = live_market.published(album)
    delete(live_market, live_market.posts()[0]["message_id"])
    telegram = live_market.telegram
    telegram.fault(
        "forwardMessage", code=400, description="Bad Request: message to forward not found"
    )
    telegram.fault("forwardMessage", code=500)
    at = live_market.next_check_at(deal_id)

    with later(at):
        live_market.check_all()
    with later(at + timedelta(seconds=15)):
        live_market.check_all()
    assert verdicts(deal_id) == ["API_ERROR", "SUSPECTED"]
    with later(at + timedelta(minutes=6)):
        live_market.check_all()

    assert verdicts(deal_id) == ["API_ERROR", "SUSPECTED", "DELETED"]


NOT_FOUND: dict[str, Any] = {
    "code": 400,
    "description": "Bad Request: message to forward not found",
}


def test_a_restoration_whose_answer_was_lost_is_no_pass(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    edit(text=AD.text, buttons=OTHER)(live_market, live_market.posts()[0]["message_id"])
    live_market.telegram.fault("forwardMessage", **NOT_FOUND)
    live_market.telegram.fault("editMessageReplyMarkup", executes=True, lost=True)
    at = live_market.next_check_at(deal_id)

    with later(at):
        live_market.check_all()
    assert verdicts(deal_id) == ["API_ERROR"]
    (post,) = live_market.posts()
    assert post["reply_markup"]["inline_keyboard"] == ORDER
    with later(at + timedelta(seconds=15)):
        live_market.check_all()

    assert verdicts(deal_id) == ["API_ERROR", "UNKNOWN"]
    assert live_market.disputed_for(deal_id) == "INCONCLUSIVE"
    assert_nothing_is_paid(deal_id)


def test_an_answered_probe_leaves_no_doubt(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    live_market.telegram.fault("forwardMessage", **NOT_FOUND)
    at = live_market.next_check_at(deal_id)

    with later(at):
        live_market.check_all()
    with later(at + timedelta(minutes=6)):
        live_market.check_all()

    assert verdicts(deal_id) == ["SUSPECTED", "PASSED"]
    assert set(PlannedCheck.objects.values_list("open_probes", flat=True)) == {0}


def test_buttons_are_not_set_where_the_forward_failed_by_itself(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    live_market.telegram.fault("forwardMessage", code=500)
    live_market.telegram.fault("editMessageReplyMarkup", lost=True)
    at = live_market.next_check_at(deal_id)

    with later(at):
        live_market.check_all()
    live_market.telegram.clear_faults()
    with later(at + timedelta(seconds=15)):
        live_market.check_all()

    assert verdicts(deal_id) == ["API_ERROR", "PASSED"]


def test_a_missing_post_of_a_bot_that_was_removed_is_not_called_deleted(
    live_market: LiveMarket,
) -> None:
    deal_id = live_market.published(AD)
    delete(live_market, live_market.posts()[0]["message_id"])
    first_at = live_market.next_check_at(deal_id)
    with later(first_at):
        live_market.check_all()

    remove_bot(live_market, 0)
    with later(first_at + timedelta(minutes=6)):
        live_market.check_all()

    assert verdicts(deal_id) == ["SUSPECTED", "CHANNEL_UNREACHABLE"]


@pytest.mark.parametrize(
    "broken",
    [
        {"code": 500},
        {"code": 502},
        {"code": 429, "retry_after_s": 1},
        {"lost": True},
        {"code": 400, "description": "Bad Request: something new"},
    ],
)
def test_an_api_error_is_asked_again_and_never_counts(
    live_market: LiveMarket, broken: dict[str, Any]
) -> None:
    deal_id = live_market.published(AD)
    live_market.telegram.fault("forwardMessage", **broken)
    first_at = live_market.next_check_at(deal_id)

    with later(first_at):
        live_market.check_all()
    assert verdicts(deal_id) == ["API_ERROR"]
    assert not PlannedCheck.objects.filter(deal_id=deal_id, done_at__isnull=False).exists()
    redis_state().flushdb()  # a chat's pause is over
    with later(first_at + timedelta(seconds=15)):
        live_market.check_all()

    assert verdicts(deal_id) == ["API_ERROR", "PASSED"]


def test_after_three_retries_it_is_asked_again_in_half_an_hour(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    live_market.telegram.fault("forwardMessage", times=100, code=500)
    at = live_market.next_check_at(deal_id)

    waits = []
    for _ in range(5):
        with later(at):
            live_market.check_all()
        due_at = PlannedCheck.objects.filter(deal_id=deal_id).earliest("planned_at").due_at
        waits.append(round((due_at - at).total_seconds(), -1))
        at = due_at

    assert verdicts(deal_id) == ["API_ERROR"] * 5
    assert waits == [10, 10, 10, 1800, 10]


def test_with_looks_missing_at_the_end_the_deal_is_disputed(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    live_market.telegram.fault("forwardMessage", times=1000, code=500)

    with later(timedelta(hours=24, minutes=1)):
        live_market.check_all()
        assert live_market.disputed_for(deal_id) is None
    with later(timedelta(hours=30, minutes=6)):
        sweeps.end_overdue_deals()

    assert live_market.disputed_for(deal_id) == "INCONCLUSIVE"
    assert set(verdicts(deal_id)) == {"API_ERROR"}
    assert_nothing_is_paid(deal_id)


def test_a_broken_verifier_chat_is_not_the_channels_fault(live_market: LiveMarket) -> None:
    deal_id = live_market.published(AD)
    live_market.telegram.remove_bot(live_market.verifier_id)

    with later(live_market.next_check_at(deal_id)):
        live_market.check_all()

    assert verdicts(deal_id) == ["API_ERROR"]
    assert live_market.disputed_for(deal_id) is None


def test_our_own_limits_are_no_look(
    limited_market: LiveMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_PATIENCE_S", 2.0)
    monkeypatch.setattr(records, "MAX_UNSEEN_S", 2 * records.DAY_S)
    live_market = limited_market
    deal_id = live_market.published()
    redis_state().flushdb()

    with later(timedelta(hours=24)):
        live_market.check_all()

    assert verdicts(deal_id) == ["PASSED"] * 3
    waiting = PlannedCheck.objects.filter(deal_id=deal_id, done_at=None)
    assert waiting.count() == 3
    assert live_market.disputed_for(deal_id) is None


def test_every_message_of_an_album_is_looked_at(live_market: LiveMarket) -> None:
    media = tuple(live_market.media("PHOTO") for _ in range(2))
    draft = Draft("Two", media=media, buttons=AD.buttons, buttons_text="Order here")
    deal_id = live_market.published(draft)
    live_market.telegram.edit_post(
        live_market.channel_id, live_market.posts()[2]["message_id"], text="Hello", buttons=ORDER
    )

    with later(live_market.next_check_at(deal_id)):
        live_market.check_all()

    assert verdicts(deal_id) == ["EDITED"]
    assert "message 3" in DisputeEvidence.objects.get().content


def test_a_swapped_photo_is_an_edit(live_market: LiveMarket) -> None:
    deal_id = live_market.published(Draft("Look", media=(live_market.media("PHOTO"),)))
    live_market.telegram.edit_post(
        live_market.channel_id, live_market.posts()[0]["message_id"], text="Look", media="photo"
    )

    with later(live_market.next_check_at(deal_id)):
        live_market.check_all()

    assert verdicts(deal_id) == ["EDITED"]
