"""The client against the local Bot API: what is sent, what comes back, which error means what."""

from __future__ import annotations

import time

import pytest

from advertmarket.telegram import errors
from advertmarket.telegram.client import bot
from advertmarket.telegram.content import Button, Entity, Media, MediaKind
from sandbox.telegram.control import Telegram
from tests.advertmarket.telegram.conftest import ANNA, OLEG


@pytest.fixture
def channel(telegram: Telegram) -> int:
    chat_id = telegram.create_channel("News", creator_id=OLEG, username="the_news", subscribers=7)
    telegram.add_bot(chat_id)
    return chat_id


def test_message_comes_back_as_telegram_keeps_it(telegram: Telegram) -> None:
    message = bot().send_message(
        ANNA,
        'a <a href="https://example.org/">link</a>',
        buttons=(
            (Button("Open", url="https://example.org/x"), Button("Yes", callback_data="y:1")),
        ),
    )

    assert (message.chat_id, message.text) == (ANNA, "a link")
    assert message.entities == (Entity("text_link", 2, 4, "https://example.org/"),)
    assert message.buttons == (
        Button("Open", url="https://example.org/x"),
        Button("Yes", callback_data="y:1"),
    )
    assert [m["text"] for m in telegram.messages(ANNA)] == ["a link"]


@pytest.mark.parametrize(
    ("kind", "part"),
    [("PHOTO", "photo"), ("VIDEO", "video"), ("GIF", "animation"), ("DOCUMENT", "document")],
)
def test_each_kind_of_media_goes_out_with_its_caption(
    telegram: Telegram, channel: int, kind: MediaKind, part: str
) -> None:
    created = telegram.create_media(part)[part]
    file = created[-1] if isinstance(created, list) else created

    message = bot().send_media(channel, Media(kind, file["file_id"]), "<b>caption</b>")

    assert message.text == "caption"
    assert message.entities == (Entity("bold", 0, 7),)
    assert [(m.kind, m.file_unique_id) for m in message.media] == [(kind, file["file_unique_id"])]


def test_album_goes_out_as_one(telegram: Telegram, channel: int) -> None:
    files = [telegram.create_media("photo")["photo"][-1] for _ in range(2)]

    sent = bot().send_media_group(channel, [Media("PHOTO", f["file_id"]) for f in files], "both")

    assert [m.text for m in sent] == ["both", ""]
    assert [m.media[0].file_unique_id for m in sent] == [f["file_unique_id"] for f in files]


def test_gif_in_an_album_is_refused_unasked(telegram: Telegram, channel: int) -> None:
    with pytest.raises(ValueError, match="GIF"):
        bot().send_media_group(channel, [Media("GIF", "x")] * 2)

    assert telegram.messages(channel) == []


def test_chat_and_members_are_told(telegram: Telegram, channel: int) -> None:
    chat = bot().get_chat("@the_news")
    bot_id, username = bot().get_me()

    assert (chat.id, chat.type, chat.title, chat.is_protected) == (
        channel,
        "channel",
        "News",
        False,
    )
    assert bot().get_chat_member(channel, OLEG).may("can_post_messages")
    assert not bot().get_chat_member(channel, ANNA).is_administrator
    assert bot().get_chat_member(channel, bot_id).rights >= {"can_post_messages"}
    assert bot().get_chat_member_count(channel) == 9
    assert username == "advertmarket_bot"


def test_unchanged_buttons_are_a_bad_request_with_telegrams_own_words(
    telegram: Telegram, channel: int
) -> None:
    buttons = ((Button("Open", url="https://example.org/"),),)
    message = bot().send_message(channel, "post", buttons=buttons)

    with pytest.raises(errors.BadRequest) as refusal:
        bot().edit_reply_markup(channel, message.message_id, buttons)

    assert refusal.value.code == 400
    assert refusal.value.description.startswith("Bad Request: message is not modified: ")


def test_refused_before_a_person_began(telegram: Telegram) -> None:
    telegram.create_user(1003, "Ivan")

    with pytest.raises(errors.Forbidden) as refusal:
        bot().send_message(1003, "hello")

    assert refusal.value.user_is_unreachable
    assert refusal.value.took_effect is False


def test_channel_without_the_bot_is_no_unreachable_person(telegram: Telegram, channel: int) -> None:
    telegram.remove_bot(channel, kicked=True)

    with pytest.raises(errors.Forbidden) as refusal:
        bot().send_message(channel, "hello")

    assert not refusal.value.user_is_unreachable


def test_429_pauses_its_chat_and_no_other(telegram: Telegram) -> None:
    telegram.fault("sendMessage", code=429, retry_after_s=30)

    for _ in range(2):
        with pytest.raises(errors.TooManyRequests) as refusal:
            bot().send_message(ANNA, "hello")
        assert 29 < refusal.value.retry_after_s <= 30
    bot().send_message(OLEG, "hello")

    assert telegram.messages(ANNA) == []
    assert len(telegram.messages(OLEG)) == 1


@pytest.mark.thorough
def test_messages_to_one_chat_keep_a_second_apart(telegram: Telegram) -> None:
    telegram.enforce_limits()
    started = time.monotonic()

    for number in range(3):
        bot().send_message(ANNA, str(number))

    assert time.monotonic() - started >= 1.9
    assert [m["text"] for m in telegram.messages(ANNA)] == ["0", "1", "2"]


def test_lost_answer_leaves_the_outcome_open(telegram: Telegram) -> None:
    telegram.fault("sendMessage", executes=True, lost=True)

    with pytest.raises(errors.TelegramAway) as away:
        bot().send_message(ANNA, "hello")

    assert away.value.took_effect is None
    assert len(telegram.messages(ANNA)) == 1


def test_no_connection_is_known_to_have_done_nothing(telegram: Telegram) -> None:
    client = type(bot())("7000000001:test", "http://127.0.0.1:9")

    with pytest.raises(errors.TelegramNotReached) as away:
        client.send_message(ANNA, "hello")

    client.close()
    assert away.value.took_effect is False


def test_server_error_is_away(telegram: Telegram) -> None:
    telegram.fault("getMe", code=502)

    with pytest.raises(errors.TelegramAway) as away:
        bot().get_me()

    assert (away.value.code, away.value.permanent) == (502, False)


def test_refused_token_stops_every_call_for_a_minute(telegram: Telegram) -> None:
    telegram.fault("getMe", code=401)
    with pytest.raises(errors.Unauthorized):
        bot().get_me()

    with pytest.raises(errors.Unauthorized, match="less than a minute ago"):
        bot().send_message(ANNA, "hello")

    assert telegram.messages(ANNA) == []
