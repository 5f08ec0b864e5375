"""Deals in Telegram: the list, and buttons that count only for the version they were shown for."""

from __future__ import annotations

import pytest

from advertmarket.telegram.callbacks import pack
from deals import endings
from deals.lifecycle import Action
from tests.bot_chat import BotChat

from .market import ADVERTISER, ANNA, IVAN, OLEG, Market, nothing_changes


@pytest.fixture
def anna(market: Market) -> BotChat:
    return BotChat(ANNA)


@pytest.fixture
def oleg(market: Market) -> BotChat:
    return BotChat(OLEG)


def test_mydeals_lists_what_is_not_over(market: Market, anna: BotChat, oleg: BotChat) -> None:
    assert [said.text for said in anna.write("/mydeals")] == ["You have no active deals."]
    draft, offer = market.draft(), market.offer()
    market.do(endings.cancel_deal, market.offer(), ADVERTISER)

    (annas,) = anna.write("/mydeals")
    (olegs,) = oleg.write("/mydeals")

    assert annas.text.splitlines() == [
        "1. <b>Morning City</b>: 50 TON, Offer sent",
        "2. <b>Morning City</b>: 50 TON, Draft",
    ]
    assert [row[0]["url"].rsplit("deal_")[-1] for row in annas.buttons] == [str(offer), str(draft)]
    assert olegs.text == "1. <b>Morning City</b>: 50 TON, Offer sent"


def test_the_owner_accepts_by_a_button(market: Market, oleg: BotChat) -> None:
    deal_id = market.offer()

    (said,) = oleg.press(pack("accept", deal_id, 1))

    assert market.status(deal_id) == "ACCEPTED"
    assert said.text.startswith("Accepted.")
    assert market.history(deal_id) == ["SUBMIT", "ACCEPT"]


def test_the_owner_rejects_by_a_button(market: Market, oleg: BotChat) -> None:
    deal_id = market.offer()

    oleg.press(pack("reject", deal_id, 1))

    assert market.status(deal_id) == "CANCELLED"


def test_a_second_press_changes_nothing(market: Market, oleg: BotChat) -> None:
    deal_id = market.offer()
    oleg.press(pack("accept", deal_id, 1))

    with nothing_changes():
        (said,) = oleg.press(pack("accept", deal_id, 1))
    assert "moved on" in said.text


@pytest.mark.parametrize("action", ["accept", "reject", "approve", "revise"])
def test_a_stranger_presses_in_vain(market: Market, action: str) -> None:
    deal_id = market.offer()

    with nothing_changes():
        (said,) = BotChat(IVAN).press(pack(action, deal_id, 1))
    assert said.text == "There is no such deal."


@pytest.mark.parametrize("action", ["accept", "reject"])
def test_the_advertiser_does_not_answer_their_own_offer(
    market: Market, anna: BotChat, action: str
) -> None:
    deal_id = market.offer()

    with nothing_changes():
        (said,) = anna.press(pack(action, deal_id, 1))
    assert said.text == "This is not yours to do in this deal."


def test_an_approval_of_nothing_is_refused(market: Market, anna: BotChat) -> None:
    deal_id = market.offer()

    with nothing_changes():
        (said,) = anna.press(pack("approve", deal_id, 1))
    assert Action.APPROVE in said.text


def test_a_revision_is_asked_for_in_the_app(market: Market, anna: BotChat) -> None:
    deal_id = market.offer()

    with nothing_changes():
        (said,) = anna.press(pack("revise", deal_id, 1))
    assert str(deal_id) in said.buttons[0][0]["url"]


@pytest.mark.parametrize("data", ["accept:", "accept:x:1", "accept:" + "A" * 22])
def test_data_that_is_not_ours_is_refused(market: Market, oleg: BotChat, data: str) -> None:
    with nothing_changes():
        (said,) = oleg.press(data)
    assert said.text == "There is no such deal."
