"""Sending, forwarding, editing, deleting, pinning: results and refusals of the real Bot API."""

from __future__ import annotations

import httpx
import pytest
import telegram
from telegram import InlineKeyboardButton as Button
from telegram import InlineKeyboardMarkup as Keyboard
from telegram.constants import ParseMode

from sandbox.telegram.control import Refused, Telegram
from sandbox.telegram.server import TelegramServer
from tests.sandbox.telegram.conftest import ANNA, IVAN, OLEG, Stranger

LINK = Keyboard([[Button("Open", url="https://example.com/a")]])
NOT_MODIFIED = (
    "BadRequest: Message is not modified: specified new message content and reply markup are "
    "exactly the same as a current content and reply markup of the message"
)


def test_text_comes_back_with_entities_and_buttons(stranger: Stranger, bot: telegram.Bot) -> None:
    keyboard = Keyboard([[Button("Yes", callback_data="y:1"), Button("Site", url="example.com")]])
    message = stranger.run(
        bot.send_message(
            ANNA,
            '<b>Hi</b> <a href="https://e.com">you</a>',
            parse_mode=ParseMode.HTML,
            reply_markup=keyboard,
        )
    )
    assert message.text == "Hi you"
    assert [(e.type, e.offset, e.length, e.url) for e in message.entities] == [
        ("bold", 0, 2, None),
        ("text_link", 3, 3, "https://e.com/"),
    ]
    assert message.from_user is not None
    assert message.from_user.is_bot
    assert (message.chat.id, message.chat.type, message.chat.username) == (ANNA, "private", "anna")
    assert message.reply_markup is not None
    assert [b.to_dict() for b in message.reply_markup.inline_keyboard[0]] == [
        {"text": "Yes", "callback_data": "y:1"},
        {"text": "Site", "url": "http://example.com/"},
    ]


def test_channel_post_is_the_channels(stranger: Stranger, bot: telegram.Bot, channel: int) -> None:
    post = stranger.run(bot.send_message("@news", "Post"))
    assert (post.chat.id, post.chat.title, post.message_id) == (channel, "News", 1)
    assert post.from_user is None
    assert post.sender_chat is not None
    assert post.sender_chat.id == channel
    assert stranger.run(bot.send_message(channel, "Post")).message_id == 2


def test_private_chats_share_one_count_of_messages(stranger: Stranger, bot: telegram.Bot) -> None:
    ids = [stranger.run(bot.send_message(user, "x")).message_id for user in (ANNA, OLEG, ANNA)]
    assert ids == [1, 2, 3]


def test_link_preview_options_and_reply_are_kept(stranger: Stranger, bot: telegram.Bot) -> None:
    first = stranger.run(bot.send_message(ANNA, "first"))
    second = stranger.run(
        bot.send_message(
            ANNA,
            "https://example.com",
            link_preview_options=telegram.LinkPreviewOptions(is_disabled=True),
            reply_parameters=telegram.ReplyParameters(first.message_id),
        )
    )
    assert second.link_preview_options == telegram.LinkPreviewOptions(is_disabled=True)
    assert second.reply_to_message is not None
    assert second.reply_to_message.text == "first"


def test_who_cannot_be_written_to(stranger: Stranger, bot: telegram.Bot, people: Telegram) -> None:
    people.block(ANNA)
    people.deactivate(OLEG)
    refusals: list[tuple[int | str, str]] = [
        (ANNA, "Forbidden: Forbidden: bot was blocked by the user"),
        (OLEG, "Forbidden: Forbidden: user is deactivated"),
        (IVAN, "Forbidden: Forbidden: bot can't initiate conversation with a user"),
        (999, "BadRequest: Chat not found"),
        ("@nobody", "BadRequest: Chat not found"),
        (bot.id, "BadRequest: Chat not found"),
    ]
    for chat_id, error in refusals:
        assert stranger.refused(bot.send_message(chat_id, "x")) == error
    assert people.messages(ANNA) == people.messages(OLEG) == people.messages(IVAN) == []


def test_channels_that_refuse(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    people.add_bot(channel, can_post_messages=False)
    refused = stranger.refused(bot.send_message(channel, "x"))
    assert refused == "BadRequest: Need administrator rights in the channel chat"
    people.remove_bot(channel)
    refused = stranger.refused(bot.send_message(channel, "x"))
    assert refused == "Forbidden: Forbidden: bot is not a member of the channel chat"
    people.remove_bot(channel, kicked=True)
    refused = stranger.refused(bot.send_message(channel, "x"))
    assert refused == "Forbidden: Forbidden: bot was kicked from the channel chat"
    assert people.messages(channel) == []


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x" * 4097, "BadRequest: Message is too long"),
        ("<b> </b>", "BadRequest: Message text is empty"),
        ("<i>x", "BadRequest: Can't parse entities: can't find end tag corresponding to start tag"),
    ],
)
def test_text_that_is_refused(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, text: str, error: str
) -> None:
    refused = stranger.refused(bot.send_message(ANNA, text, parse_mode="HTML"))
    assert refused.lower().startswith(error.lower())
    assert people.messages(ANNA) == []


def test_limits_count_code_points_after_entities(stranger: Stranger, bot: telegram.Bot) -> None:
    text = f"<b>{'😀' * 4096}</b>"
    message = stranger.run(bot.send_message(ANNA, text, parse_mode="HTML"))
    assert message.text == "😀" * 4096
    assert message.entities[0].length == 8192


@pytest.mark.parametrize(
    ("button", "error"),
    [
        (Button("x", callback_data="д" * 33), "Button_data_invalid"),
        (
            Button("x", url="nonsense"),
            "Inline keyboard button url 'nonsense' is invalid: wrong http url",
        ),
        (
            {"text": "x"},
            "Can't parse inline keyboard button: text buttons are unallowed in the inline keyboard",
        ),
    ],
)
def test_button_that_is_refused(
    stranger: Stranger, bot: telegram.Bot, button: Button, error: str
) -> None:
    refused = stranger.refused(bot.send_message(ANNA, "x", reply_markup=Keyboard([[button]])))
    assert refused.lower() == f"badrequest: {error}".lower()


def test_web_app_buttons_work_in_private_chats_only(
    stranger: Stranger, bot: telegram.Bot, channel: int
) -> None:
    keyboard = Keyboard([[Button("x", web_app=telegram.WebAppInfo("https://example.com"))]])
    stranger.run(bot.send_message(ANNA, "x", reply_markup=keyboard))
    refused = stranger.refused(bot.send_message(channel, "x", reply_markup=keyboard))
    assert refused == "BadRequest: Button_type_invalid"


# -- media


@pytest.mark.parametrize("kind", ["photo", "video", "animation", "document"])
def test_file_sent_again_by_its_id_keeps_the_unique_id(
    stranger: Stranger, bot: telegram.Bot, channel: int, kind: str
) -> None:
    send = getattr(bot, f"send_{kind}")
    first = stranger.run(send(channel, b"bytes", caption="<i>c</i>", parse_mode="HTML"))
    file = first.photo[-1] if kind == "photo" else getattr(first, kind)
    second = stranger.run(send(ANNA, file.file_id, reply_markup=LINK))
    again = second.photo[-1] if kind == "photo" else getattr(second, kind)
    assert again.file_unique_id == file.file_unique_id
    assert again.file_id != file.file_id
    assert (first.caption, first.caption_entities[0].type, second.caption) == ("c", "italic", None)
    downloaded = stranger.run(stranger.run(bot.get_file(again.file_id)).download_as_bytearray())
    assert downloaded == b"bytes"


def test_registered_file_can_be_sent(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    file = people.create_media("document", content=b"kit", file_name="kit.pdf")["document"]
    post = stranger.run(bot.send_document(channel, file["file_id"]))
    assert post.document is not None
    assert post.document.file_unique_id == file["file_unique_id"]
    assert post.document.file_name == "kit.pdf"


@pytest.mark.parametrize(
    ("file_id", "error"),
    [
        ("AgACAgIAAxkBnonsense", "Wrong file identifier/http url specified"),
        ("nonsense", "Wrong file identifier/http url specified"),
        ("https://example.com/a.jpg", "Failed to get http url content"),
    ],
)
def test_file_that_cannot_be_sent(
    stranger: Stranger, bot: telegram.Bot, channel: int, file_id: str, error: str
) -> None:
    assert (
        stranger.refused(bot.send_photo(channel, file_id)).lower() == f"badrequest: {error.lower()}"
    )


def test_file_cannot_be_sent_as_another_kind(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    file_id = people.create_media("photo")["photo"][-1]["file_id"]
    refused = stranger.refused(bot.send_document(channel, file_id))
    assert refused == "BadRequest: Can't use file of type photo as document"


def test_caption_has_its_own_limit(stranger: Stranger, bot: telegram.Bot, channel: int) -> None:
    stranger.run(bot.send_photo(channel, b"x", caption="x" * 1024))
    refused = stranger.refused(bot.send_photo(channel, b"x", caption="x" * 1025))
    assert refused == "BadRequest: Message caption is too long"


def test_album_is_one_group_of_messages(
    stranger: Stranger, bot: telegram.Bot, channel: int
) -> None:
    album = stranger.run(
        bot.send_media_group(
            channel,
            [
                telegram.InputMediaPhoto(b"1", caption="<b>c</b>", parse_mode="HTML"),
                telegram.InputMediaVideo(b"2"),
            ],
        )
    )
    assert [message.message_id for message in album] == [1, 2]
    assert album[0].media_group_id == album[1].media_group_id
    assert album[0].caption_entities[0].type == "bold"
    assert album[1].video is not None


def test_albums_that_are_refused(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    photo, document = telegram.InputMediaPhoto(b"1"), telegram.InputMediaDocument(b"2")
    for media in ([photo], [photo] * 11):
        refused = stranger.refused(bot.send_media_group(channel, media))
        assert refused == "BadRequest: Group must contain 2-10 items"
    refused = stranger.refused(bot.send_media_group(channel, [photo, document]))
    assert refused == "BadRequest: Media of different types can't be mixed in an album"
    assert people.messages(channel) == []


# -- forwarding and copying


def test_forward_keeps_text_media_and_links(
    stranger: Stranger, bot: telegram.Bot, channel: int
) -> None:
    post = stranger.run(
        bot.send_photo(channel, b"x", caption="<b>c</b>", parse_mode="HTML", reply_markup=LINK)
    )
    forward = stranger.run(bot.forward_message(ANNA, channel, post.message_id))
    assert (forward.caption, forward.caption_entities) == (post.caption, post.caption_entities)
    assert forward.photo[-1].file_unique_id == post.photo[-1].file_unique_id
    assert forward.photo[-1].file_id != post.photo[-1].file_id
    assert forward.reply_markup == post.reply_markup
    assert isinstance(forward.forward_origin, telegram.MessageOriginChannel)
    assert forward.forward_origin.message_id == post.message_id


def test_forward_drops_a_keyboard_that_is_not_links_only(
    stranger: Stranger, bot: telegram.Bot, channel: int
) -> None:
    mixed = Keyboard([[Button("a", url="https://e.com/"), Button("b", callback_data="b")]])
    post = stranger.run(bot.send_message(channel, "x", reply_markup=mixed))
    forward = stranger.run(bot.forward_message(ANNA, channel, post.message_id))
    assert forward.reply_markup is None


def test_copy_is_a_new_message(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    post = stranger.run(bot.send_message(channel, "text", reply_markup=LINK))
    copy = stranger.run(bot.copy_message(ANNA, channel, post.message_id))
    [message] = people.messages(ANNA)
    assert message["message_id"] == copy.message_id
    assert message["text"] == "text"
    assert "reply_markup" not in message
    assert "forward_origin" not in message


def test_protected_content_is_not_forwarded(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    post = stranger.run(bot.send_message(channel, "x"))
    people.change_channel(channel, protected=True)
    refused = stranger.refused(bot.forward_message(ANNA, channel, post.message_id))
    assert refused == "BadRequest: Message has protected content and can't be forwarded"
    with pytest.raises(Refused, match="protected"):
        people.forward(OLEG, channel, post.message_id)
    assert people.messages(ANNA) == []


def test_message_that_is_not_there(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    post = stranger.run(bot.send_message(channel, "x", reply_markup=LINK))
    people.delete_post(channel, post.message_id)
    for call, error in [
        (bot.forward_message(ANNA, channel, post.message_id), "Message to forward not found"),
        (bot.copy_message(ANNA, channel, post.message_id), "Message to copy not found"),
        (
            bot.edit_message_reply_markup(channel, post.message_id, reply_markup=LINK),
            "Message to edit not found",
        ),
        (bot.delete_message(channel, post.message_id), "Message to delete not found"),
        (bot.pin_chat_message(channel, post.message_id), "Message to pin not found"),
        (bot.edit_message_text("x", channel, 77), "Message to edit not found"),
        (bot.forward_message(ANNA, channel, -1), "Message_id_invalid"),
        (bot.edit_message_reply_markup(channel, 0), "Message identifier is not specified"),
    ]:
        assert stranger.refused(call) == f"BadRequest: {error}"


# -- editing


def test_edit_changes_text_and_markup(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    stranger.run(bot.delete_webhook(drop_pending_updates=True))
    post = stranger.run(bot.send_message(channel, "old"))
    edited = stranger.run(bot.edit_message_text("new", channel, post.message_id, reply_markup=LINK))
    assert isinstance(edited, telegram.Message)
    assert (edited.message_id, edited.text) == (post.message_id, "new")
    assert edited.edit_date is not None
    [message] = people.messages(channel)
    assert message["reply_markup"]["inline_keyboard"][0][0]["url"] == "https://example.com/a"
    assert people.state()["pending_updates"] == [], "a bot hears nothing of its own posts"


def test_same_markup_again_is_not_modified(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    with_link = stranger.run(bot.send_photo(channel, b"x", reply_markup=LINK))
    without = stranger.run(bot.send_message(channel, "x"))
    call = bot.edit_message_reply_markup(channel, with_link.message_id, reply_markup=LINK)
    assert stranger.refused(call) == NOT_MODIFIED
    call = bot.edit_message_reply_markup(channel, without.message_id)
    assert stranger.refused(call) == NOT_MODIFIED
    assert all("edit_date" not in message for message in people.messages(channel))


def test_changed_markup_is_restored_with_200(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    post = stranger.run(bot.send_message(channel, "x", reply_markup=LINK))
    people.edit_post(channel, post.message_id, buttons=[])
    restored = stranger.run(
        bot.edit_message_reply_markup(channel, post.message_id, reply_markup=LINK)
    )
    assert isinstance(restored, telegram.Message)
    assert restored.reply_markup == post.reply_markup


def test_what_cannot_be_edited(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    theirs = people.send(ANNA, "mine")
    post = stranger.run(bot.send_message(channel, "x"))
    forward = stranger.run(bot.forward_message(channel, channel, post.message_id))
    for chat_id, message_id in [
        (ANNA, theirs["message_id"]),
        (channel, forward.message_id),
    ]:
        refused = stranger.refused(bot.edit_message_text("y", chat_id, message_id))
        assert refused == "BadRequest: Message can't be edited"
    people.add_bot(channel, can_post_messages=False, can_edit_messages=False)
    refused = stranger.refused(bot.edit_message_text("y", channel, post.message_id))
    assert refused == "BadRequest: Message can't be edited"


def test_caption_is_edited_as_a_caption(
    stranger: Stranger, bot: telegram.Bot, channel: int
) -> None:
    post = stranger.run(bot.send_photo(channel, b"x", caption="old"))
    edited = stranger.run(bot.edit_message_caption(channel, post.message_id, caption="new"))
    assert isinstance(edited, telegram.Message)
    assert (edited.caption, edited.photo) == ("new", post.photo)
    refused = stranger.refused(bot.edit_message_text("x", channel, post.message_id))
    assert refused == "BadRequest: There is no text in the message to edit"


# -- deleting and pinning


def test_delete_forgets_the_message_and_its_number(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    post = stranger.run(bot.send_message(channel, "x"))
    assert stranger.run(bot.delete_message(channel, post.message_id))
    assert people.messages(channel) == []
    assert stranger.run(bot.send_message(channel, "x")).message_id == post.message_id + 1


def test_others_messages_need_a_right_to_be_deleted(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    post = people.send(OLEG, "by Oleg", chat_id=channel)
    refused = stranger.refused(bot.delete_message(channel, post["message_id"]))
    assert refused == "BadRequest: Message can't be deleted"
    people.add_bot(channel, can_delete_messages=True)
    assert stranger.run(bot.delete_message(channel, post["message_id"]))


def test_own_messages_can_be_deleted_for_two_days(
    stranger: Stranger, bot: telegram.Bot, server: TelegramServer, channel: int
) -> None:
    post = stranger.run(bot.send_message(channel, "x"))
    with server.world as world:
        for message in world.messages:
            message.date -= 48 * 3600
    refused = stranger.refused(bot.delete_message(channel, post.message_id))
    assert refused == "BadRequest: Message can't be deleted"


def test_chat_shows_only_the_latest_pin(
    stranger: Stranger, bot: telegram.Bot, channel: int
) -> None:
    posts = [stranger.run(bot.send_message(channel, str(n))) for n in range(2)]
    for post in posts:
        stranger.run(bot.pin_chat_message(channel, post.message_id))
    pinned = stranger.run(bot.get_chat(channel)).pinned_message
    assert pinned is not None
    assert pinned.message_id == posts[1].message_id
    stranger.run(bot.unpin_chat_message(channel, posts[1].message_id))
    pinned = stranger.run(bot.get_chat(channel)).pinned_message
    assert pinned is not None
    assert pinned.message_id == posts[0].message_id
    refused = stranger.refused(bot.unpin_chat_message(channel, posts[1].message_id))
    assert refused == "BadRequest: Message to unpin not found"


def test_pinning_needs_the_right_to_edit(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    post = stranger.run(bot.send_message(channel, "x"))
    people.add_bot(channel, can_edit_messages=False)
    refused = stranger.refused(bot.pin_chat_message(channel, post.message_id))
    assert refused == "BadRequest: Not enough rights to manage pinned messages in the chat"


# -- HTTP


def test_query_form_and_json_say_the_same(server: TelegramServer, people: Telegram) -> None:
    url = f"{server.url}/bot{server.world.token}/sendMessage"
    arguments = {"chat_id": str(ANNA), "text": "x", "reply_markup": '{"inline_keyboard": []}'}
    httpx.get(url, params=arguments).raise_for_status()
    httpx.post(url, data=arguments).raise_for_status()
    httpx.post(url, json={"chat_id": ANNA, "text": "x", "reply_markup": {}}).raise_for_status()
    httpx.post(url.replace("sendMessage", "SENDMESSAGE"), data=arguments).raise_for_status()
    assert [message["text"] for message in people.messages(ANNA)] == ["x"] * 4


def test_errors_are_http_statuses_too(server: TelegramServer) -> None:
    token = server.world.token
    for path, status, description in [
        (f"/bot{token}x/getMe", 401, "Unauthorized"),
        ("/botnonsense/getMe", 404, "Not Found"),
        (f"/bot{token}/noSuchMethod", 404, "Not Found"),
        (f"/bot{token}/sendMessage", 400, "Bad Request: chat_id is empty"),
    ]:
        answer = httpx.get(server.url + path, params={"text": "x"})
        assert answer.status_code == status
        assert answer.json() == {"ok": False, "error_code": status, "description": description}


def test_client_with_a_wrong_token_is_told_so(server: TelegramServer, stranger: Stranger) -> None:
    wrong = telegram.Bot("7000000001:wrong", base_url=f"{server.url}/bot")
    assert stranger.refused(wrong.initialize()).startswith("InvalidToken")
    stranger.run(wrong.shutdown())
