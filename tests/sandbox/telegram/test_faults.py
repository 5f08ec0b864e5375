"""What can go wrong between the bot and Telegram, on order."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import telegram

from sandbox.telegram.control import Telegram
from tests.sandbox.telegram.conftest import ANNA, OLEG, Stranger


def test_too_many_requests(stranger: Stranger, bot: telegram.Bot, people: Telegram) -> None:
    people.fault("sendMessage", code=429, retry_after_s=7)
    with pytest.raises(telegram.error.RetryAfter) as caught:
        stranger.run(bot.send_message(ANNA, "x"))
    assert caught.value.retry_after == timedelta(seconds=7)
    assert people.messages(ANNA) == []
    stranger.run(bot.send_message(ANNA, "x"))


@pytest.mark.parametrize("code", [500, 502, 503])
def test_server_errors(stranger: Stranger, bot: telegram.Bot, people: Telegram, code: int) -> None:
    people.fault(code=code, times=2)
    for _ in range(2):
        assert stranger.refused(bot.send_message(ANNA, "x")).startswith("NetworkError")
    assert people.messages(ANNA) == []
    assert stranger.run(bot.get_me()).is_bot


def test_lost_answer_after_the_effect(
    stranger: Stranger, bot: telegram.Bot, people: Telegram
) -> None:
    people.fault("sendMessage", executes=True, lost=True)
    assert stranger.refused(bot.send_message(ANNA, "once")).startswith("NetworkError")
    assert [message["text"] for message in people.messages(ANNA)] == ["once"]


def test_lost_request_without_effect(
    stranger: Stranger, bot: telegram.Bot, people: Telegram
) -> None:
    people.fault("sendMessage", lost=True)
    assert stranger.refused(bot.send_message(ANNA, "never")).startswith("NetworkError")
    assert people.messages(ANNA) == []


def test_answer_later_than_the_client_waits(
    stranger: Stranger, bot: telegram.Bot, people: Telegram
) -> None:
    people.fault("sendMessage", executes=True, delay_ms=600)
    assert (
        stranger.refused(bot.send_message(ANNA, "late", read_timeout=0.2)) == "TimedOut: Timed out"
    )
    assert [message["text"] for message in people.messages(ANNA)] == ["late"]


def test_slow_answer(stranger: Stranger, bot: telegram.Bot, people: Telegram) -> None:
    people.fault("getMe", delay_ms=200)
    began = time.monotonic()
    stranger.run(bot.get_me())
    assert time.monotonic() - began >= 0.2


def test_fault_of_one_chat_spares_the_others(
    stranger: Stranger, bot: telegram.Bot, people: Telegram
) -> None:
    people.fault("sendMessage", chat_id=ANNA, code=400, description="Bad Request: anything")
    stranger.run(bot.send_message(OLEG, "x"))
    assert stranger.refused(bot.send_message(ANNA, "x")) == "BadRequest: Anything"
    assert people.state()["faults"] == []


def test_faults_can_be_called_off(stranger: Stranger, bot: telegram.Bot, people: Telegram) -> None:
    people.fault(code=500, times=100)
    people.clear_faults()
    assert stranger.run(bot.get_me()).is_bot


def test_limit_of_one_message_a_second_per_chat(
    stranger: Stranger, bot: telegram.Bot, people: Telegram
) -> None:
    people.enforce_limits()
    stranger.run(bot.send_message(ANNA, "1"))
    with pytest.raises(telegram.error.RetryAfter) as caught:
        stranger.run(bot.send_message(ANNA, "2"))
    assert caught.value.retry_after == timedelta(seconds=1)
    stranger.run(bot.send_message(OLEG, "1"))
    people.enforce_limits(enforced=False)
    stranger.run(bot.send_message(ANNA, "2"))
    assert [message["text"] for message in people.messages(ANNA)] == ["1", "2"]
