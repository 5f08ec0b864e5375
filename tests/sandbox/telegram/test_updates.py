"""Updates: which there are, and how the webhook gets them."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import telegram
from telegram import InlineKeyboardButton as Button
from telegram import InlineKeyboardMarkup as Keyboard

from sandbox.telegram.control import Telegram
from sandbox.telegram.server import TelegramServer
from tests.sandbox.telegram.conftest import ANNA, IVAN, OLEG, Stranger, Webhook
from tests.waiting import wait_until

CHANNEL_KINDS = ["message", "my_chat_member", "chat_member", "channel_post", "edited_channel_post"]


def pending(people: Telegram) -> int:
    """Return how many updates the bot has not settled."""
    return len(people.state()["pending_updates"])


def listen(stranger: Stranger, webhook: Webhook, kinds: Iterable[str] | None = None) -> None:
    """Register the webhook."""
    stranger.run(
        stranger.bot.set_webhook(
            webhook.url, secret_token="s3cret", allowed_updates=list(kinds) if kinds else None
        )
    )


def test_message_comes_with_the_secret_and_settles(
    stranger: Stranger, people: Telegram, webhook: Webhook
) -> None:
    listen(stranger, webhook)
    people.start(ANNA, "deal_42")
    update = telegram.Update.de_json(webhook.next(), stranger.bot)
    assert update.message is not None
    assert update.message.text == "/start deal_42"
    assert update.message.entities[0].type == "bot_command"
    assert update.effective_user is not None
    assert (update.effective_user.id, update.effective_user.language_code) == (ANNA, "ru")
    assert webhook.secrets == ["s3cret"]
    wait_until(lambda: pending(people) == 0)
    info = stranger.run(stranger.bot.get_webhook_info())
    assert (info.url, info.pending_update_count, info.last_error_message) == (webhook.url, 0, None)


def test_any_2xx_settles(stranger: Stranger, people: Telegram, webhook: Webhook) -> None:
    webhook.status = lambda _update: 204
    listen(stranger, webhook)
    people.send(ANNA, "x")
    webhook.next()
    wait_until(lambda: pending(people) == 0)
    assert webhook.received.empty()


def test_failed_update_comes_again_before_later_ones_of_its_chat(
    stranger: Stranger, people: Telegram, webhook: Webhook
) -> None:
    failures = iter([500, 503, 404])

    def status(update: dict[str, Any]) -> int:
        mine = update["message"]["chat"]["id"] == ANNA
        return next(failures, 200) if mine else 200

    webhook.status = status
    people.send(ANNA, "a1")
    people.send(ANNA, "a2")
    people.send(OLEG, "o1")
    listen(stranger, webhook)
    texts = [webhook.next()["message"]["text"] for _ in range(6)]
    assert [text for text in texts if text != "o1"] == ["a1", "a1", "a1", "a1", "a2"]
    assert texts.index("o1") < 5, "another chat does not wait"
    wait_until(lambda: pending(people) == 0)
    info = stranger.run(stranger.bot.get_webhook_info())
    assert info.last_error_message == "Wrong response from the webhook: 404 Not Found"
    assert info.last_error_date is not None


def test_repetition_is_at_once_and_then_grows(
    stranger: Stranger, people: Telegram, webhook: Webhook
) -> None:
    at: list[float] = []

    def status(_update: dict[str, Any]) -> int:
        at.append(time.monotonic())
        return 500 if len(at) < 5 else 200

    webhook.status = status
    listen(stranger, webhook)
    people.send(ANNA, "x")
    wait_until(lambda: pending(people) == 0)
    waits = [after - before for before, after in itertools.pairwise(at)]
    # base 0.02 s: 0, 2, 4, 8 times of it
    assert waits[1] >= 0.04
    assert waits[2] >= 0.08
    assert waits[3] >= 0.16


def test_retry_after_is_honoured(stranger: Stranger, people: Telegram, webhook: Webhook) -> None:
    at: list[float] = []

    def status(_update: dict[str, Any]) -> int:
        at.append(time.monotonic())
        return 503 if len(at) < 2 else 200

    webhook.status, webhook.retry_after = status, "1"
    listen(stranger, webhook)
    people.send(ANNA, "x")
    wait_until(lambda: pending(people) == 0)
    assert at[1] - at[0] >= 1


def test_absent_webhook_is_an_error_and_the_update_waits(
    stranger: Stranger, people: Telegram
) -> None:
    stranger.run(stranger.bot.set_webhook("http://127.0.0.1:9/hook"))
    people.send(ANNA, "x")

    def error() -> str | None:
        return stranger.run(stranger.bot.get_webhook_info()).last_error_message

    assert wait_until(error) == "Connection refused"
    assert stranger.run(stranger.bot.get_webhook_info()).pending_update_count == 1


def test_update_is_given_up_after_a_day(
    server: TelegramServer, stranger: Stranger, people: Telegram, webhook: Webhook
) -> None:
    webhook.status = lambda _update: 500
    people.send(ANNA, "old")
    with server.world as world:
        for update in world.updates:
            update.created_at -= 24 * 3600
    listen(stranger, webhook)
    assert webhook.next()["message"]["text"] == "old"
    wait_until(lambda: pending(people) == 0)
    assert webhook.received.empty()


def test_allowed_updates_are_kept_until_told_otherwise(
    stranger: Stranger, people: Telegram, webhook: Webhook, channel: int
) -> None:
    listen(stranger, webhook, ["message"])
    wait_until(lambda: pending(people) == 0)
    webhook.received.queue.clear()
    listen(stranger, webhook)  # left out: as before
    people.send(OLEG, "post", chat_id=channel)
    people.send(ANNA, "x")
    assert "message" in webhook.next()
    assert webhook.received.empty()
    listen(stranger, webhook, ["channel_post"])
    people.send(ANNA, "x")
    people.send(OLEG, "post", chat_id=channel)
    assert "channel_post" in webhook.next()
    info = stranger.run(stranger.bot.get_webhook_info())
    assert info.allowed_updates == ("channel_post",)


def test_chat_member_comes_only_on_request(
    stranger: Stranger, people: Telegram, webhook: Webhook, channel: int
) -> None:
    people.set_member(channel, IVAN, "administrator")
    stranger.run(stranger.bot.delete_webhook(drop_pending_updates=True))
    listen(stranger, webhook, CHANNEL_KINDS)
    people.set_member(channel, ANNA, "administrator", by=OLEG)
    change = telegram.Update.de_json(webhook.next(), stranger.bot).chat_member
    assert change is not None
    assert change.from_user.id == OLEG
    assert change.new_chat_member.user.id == ANNA
    assert (change.old_chat_member.status, change.new_chat_member.status) == (
        "left",
        "administrator",
    )


def test_bot_hears_of_its_own_standing(
    stranger: Stranger, people: Telegram, webhook: Webhook
) -> None:
    listen(stranger, webhook)
    chat_id = people.create_channel("x", creator_id=OLEG)
    people.add_bot(chat_id)
    people.add_bot(chat_id, can_post_messages=False)
    people.remove_bot(chat_id)
    changes = [
        telegram.Update.de_json(webhook.next(), stranger.bot).my_chat_member for _ in range(3)
    ]
    statuses = [c.new_chat_member.status for c in changes if c]
    assert statuses == ["administrator", "administrator", "left"]
    assert changes[1] is not None
    assert isinstance(changes[1].new_chat_member, telegram.ChatMemberAdministrator)
    assert changes[1].new_chat_member.can_post_messages is False


def test_bot_hears_of_being_blocked(stranger: Stranger, people: Telegram, webhook: Webhook) -> None:
    listen(stranger, webhook)
    people.block(ANNA)
    people.block(ANNA)  # nothing new
    people.start(ANNA)
    kinds = [webhook.next() for _ in range(3)]
    assert kinds[0]["my_chat_member"]["new_chat_member"]["status"] == "kicked"
    assert kinds[1]["my_chat_member"]["new_chat_member"]["status"] == "member"
    assert kinds[2]["message"]["text"] == "/start"
    stranger.run(stranger.bot.send_message(ANNA, "welcome back"))


def test_posts_of_people_are_told_and_the_bots_own_are_not(
    stranger: Stranger, people: Telegram, webhook: Webhook, channel: int
) -> None:
    stranger.run(stranger.bot.delete_webhook(drop_pending_updates=True))
    listen(stranger, webhook)
    own = stranger.run(stranger.bot.send_message(channel, "own"))
    people.edit_post(channel, own.message_id, text="changed by a person")
    people.delete_post(channel, own.message_id)
    theirs = people.send(OLEG, "theirs", chat_id=channel)
    people.edit_post(channel, theirs["message_id"], text="theirs, edited")
    first, second = webhook.next(), webhook.next()
    assert first["channel_post"]["text"] == "theirs"
    assert second["edited_channel_post"]["text"] == "theirs, edited"
    assert second["edited_channel_post"]["edit_date"]
    wait_until(lambda: pending(people) == 0)
    assert webhook.received.empty()


def test_press_waits_for_what_the_bot_answers(
    stranger: Stranger, people: Telegram, webhook: Webhook
) -> None:
    listen(stranger, webhook)
    keyboard = Keyboard([[Button("Yes", callback_data="yes:1"), Button("Go", url="https://e.com")]])
    message = stranger.run(stranger.bot.send_message(ANNA, "?", reply_markup=keyboard))
    with ThreadPoolExecutor() as pool:
        pressed = pool.submit(people.press, ANNA, message.message_id, "Yes")
        query = telegram.Update.de_json(webhook.next(), stranger.bot).callback_query
        assert query is not None
        assert (query.data, query.from_user.id) == ("yes:1", ANNA)
        assert query.message is not None
        assert query.message.message_id == message.message_id
        assert stranger.run(query.answer("Done", show_alert=True))
        press = pressed.result()
    assert press.answer == {"text": "Done", "show_alert": True, "url": ""}
    assert press.query_id == query.id
    late = "BadRequest: Query is too old and response timeout expired or query id is invalid"
    assert stranger.refused(query.answer()) == late


def test_press_of_a_link_asks_nobody(stranger: Stranger, people: Telegram) -> None:
    keyboard = Keyboard([[Button("Go", url="https://e.com/")]])
    message = stranger.run(stranger.bot.send_message(ANNA, "?", reply_markup=keyboard))
    press = people.press(ANNA, message.message_id, "Go")
    assert press.button == {"text": "Go", "url": "https://e.com/"}
    assert (press.query_id, press.answer) == (None, None)
    assert pending(people) == 0


def test_press_without_an_answer_ends(stranger: Stranger, people: Telegram) -> None:
    keyboard = Keyboard([[Button("Yes", callback_data="y")]])
    message = stranger.run(stranger.bot.send_message(ANNA, "?", reply_markup=keyboard))
    assert people.press(ANNA, message.message_id, "y", wait_s=0.05).answer is None


def test_get_updates_polls_and_confirms(stranger: Stranger, people: Telegram) -> None:
    people.send(ANNA, "1")
    people.send(ANNA, "2")
    first = stranger.run(stranger.bot.get_updates(limit=1))
    assert [u.message.text for u in first if u.message] == ["1"]
    second = stranger.run(stranger.bot.get_updates(offset=first[0].update_id + 1))
    assert [u.message.text for u in second if u.message] == ["2"]
    assert second[0].update_id == first[0].update_id + 1
    timer = threading.Timer(0.1, people.send, (ANNA, "3"))
    timer.start()
    third = stranger.run(stranger.bot.get_updates(offset=second[0].update_id + 1, timeout=10))
    timer.join()
    assert [u.message.text for u in third if u.message] == ["3"]


def test_polling_is_refused_while_there_is_a_webhook(stranger: Stranger, webhook: Webhook) -> None:
    listen(stranger, webhook)
    assert stranger.refused(stranger.bot.get_updates()) == (
        "Conflict: Conflict: can't use getUpdates method while webhook is active; "
        "use deleteWebhook to delete the webhook first"
    )


def test_dropping_pending_updates(stranger: Stranger, people: Telegram, webhook: Webhook) -> None:
    people.send(ANNA, "old")
    stranger.run(stranger.bot.set_webhook(webhook.url, drop_pending_updates=True))
    people.send(ANNA, "new")
    assert webhook.next()["message"]["text"] == "new"


@pytest.mark.parametrize("secret", ["white space", "ключ"])
def test_bad_secret_is_refused(stranger: Stranger, webhook: Webhook, secret: str) -> None:
    refused = stranger.refused(stranger.bot.set_webhook(webhook.url, secret_token=secret))
    assert refused == "BadRequest: Secret token contains unallowed characters"


def test_hundred_chats_keep_their_order(
    stranger: Stranger, people: Telegram, webhook: Webhook
) -> None:
    users = range(2000, 2020)
    for user_id in users:
        people.create_user(user_id, f"U{user_id}", started=True)
    for number in range(5):
        for user_id in users:
            people.send(user_id, str(number))
    listen(stranger, webhook)
    got: dict[int, list[str]] = {}
    for _ in range(100):
        message = webhook.next()["message"]
        got.setdefault(message["chat"]["id"], []).append(message["text"])
    assert got == {user_id: ["0", "1", "2", "3", "4"] for user_id in users}


def test_update_is_plain_json(people: Telegram, stranger: Stranger, webhook: Webhook) -> None:
    listen(stranger, webhook)
    people.send(ANNA, "фото", media="photo")
    update = webhook.next()
    assert json.loads(json.dumps(update)) == update
    assert list(update) == ["update_id", "message"]
    assert len(update["message"]["photo"]) == 3
    assert update["message"]["caption"] == "фото"
