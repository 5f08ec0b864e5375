"""The Bot API's methods that send, forward, edit, delete and pin messages."""

from __future__ import annotations

import time

from sandbox.telegram import media
from sandbox.telegram.content import (
    caption_content,
    file_to_send,
    keyboard,
    text_content,
    url_buttons_only,
)
from sandbox.telegram.errors import bad_request
from sandbox.telegram.methods import method
from sandbox.telegram.model import Chat, Json, Message
from sandbox.telegram.params import Params
from sandbox.telegram.world import World, random_id

DELETABLE_FOR_S = 48 * 3600


@method
def send_message(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#sendmessage."""
    return _send(world, params, text_content(params))


@method
def send_photo(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#sendphoto."""
    return _send_media(world, params, "photo")


@method
def send_video(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#sendvideo."""
    return _send_media(world, params, "video")


@method
def send_animation(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#sendanimation."""
    return _send_media(world, params, "animation")


@method
def send_document(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#senddocument."""
    return _send_media(world, params, "document")


@method
def send_media_group(world: World, params: Params) -> list[Json]:
    """https://core.telegram.org/bots/api#sendmediagroup; 2 to 10, documents not with others."""
    items = params.json_array("media")
    chat = world.writable_chat(params.text("chat_id"))
    if not 2 <= len(items) <= 10:
        raise bad_request("group must contain 2-10 items")
    kinds = {str(item.get("type")) for item in items}
    if not kinds <= {"photo", "video", "document"} or kinds > {"document"}:
        raise bad_request("media of different types can't be mixed in an album")
    contents = []
    for item in items:
        reference = str(item.get("media", ""))
        upload = params.files.get(reference.removeprefix("attach://"))
        file = file_to_send(world, item["type"], reference, upload)
        caption = caption_content(
            item.get("caption") or "",
            item.get("parse_mode") or "",
            item.get("caption_entities") or [],
        )
        contents.append({**media.show(file), **caption})
    album = random_id()
    return [
        world.show_message(
            world.add_message(
                chat,
                world.bot_id,
                content,
                media_group_id=album,
                protected=params.flag("protect_content"),
            )
        )
        for content in contents
    ]


@method
def forward_message(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#forwardmessage."""
    chat = world.writable_chat(params.text("chat_id"))
    message = _source(world, params, "forward")
    return world.show_message(
        world.add_message(
            chat,
            world.bot_id,
            media.reissued(world, message.content),
            markup=url_buttons_only(message.markup),
            forward_origin=message.forward_origin or origin(world, message),
            protected=params.flag("protect_content"),
        )
    )


@method
def copy_message(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#copymessage; the markup is not copied."""
    chat = world.writable_chat(params.text("chat_id"))
    message = _source(world, params, "copy")
    content = media.reissued(world, message.content)
    if "caption" in params.values and "text" not in content:
        content = {k: v for k, v in content.items() if not k.startswith("caption")}
        content |= _caption(params)
    copied = world.add_message(
        chat,
        world.bot_id,
        content,
        markup=keyboard(params, chat),
        protected=params.flag("protect_content"),
    )
    return {"message_id": copied.message_id}


@method
def edit_message_text(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#editmessagetext."""
    chat = world.editable_chat(params.text("chat_id"))
    content = text_content(params)
    message = _editable(world, chat, params)
    if "text" not in message.content:
        raise bad_request("there is no text in the message to edit")
    return _edit(world, message, content, keyboard(params, chat))


@method
def edit_message_caption(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#editmessagecaption."""
    chat = world.editable_chat(params.text("chat_id"))
    caption = _caption(params)
    message = _editable(world, chat, params)
    if "text" in message.content:
        raise bad_request("there is no caption in the message to edit")
    kept = {k: v for k, v in message.content.items() if not k.startswith("caption")}
    return _edit(world, message, {**kept, **caption}, keyboard(params, chat))


@method
def edit_message_reply_markup(world: World, params: Params) -> Json:
    """https://core.telegram.org/bots/api#editmessagereplymarkup."""
    chat = world.editable_chat(params.text("chat_id"))
    message = _editable(world, chat, params)
    return _edit(world, message, message.content, keyboard(params, chat))


@method
def delete_message(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#deletemessage."""
    chat = world.editable_chat(params.text("chat_id"))
    message = world.find_message(chat, params.integer("message_id"), "delete")
    own = message.by_bot and time.time() - message.date < DELETABLE_FOR_S
    if not (own or world.has_right(chat, "can_delete_messages")):
        raise bad_request("message can't be deleted")
    message.deleted = True
    world.messages.put(message)
    return True


@method
def pin_chat_message(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#pinchatmessage."""
    chat = world.editable_chat(params.text("chat_id"))
    message = world.find_message(chat, params.integer("message_id"), "pin")
    _check_pinning(world, chat)
    if message.message_id in chat.pinned:
        chat.pinned.remove(message.message_id)
    chat.pinned.append(message.message_id)
    world.chats.put(chat)
    return True


@method
def unpin_chat_message(world: World, params: Params) -> bool:
    """https://core.telegram.org/bots/api#unpinchatmessage; without an id, the latest pinned."""
    chat = world.editable_chat(params.text("chat_id"))
    _check_pinning(world, chat)
    message_id = params.integer("message_id") or (chat.pinned[-1] if chat.pinned else 0)
    if message_id not in chat.pinned:
        raise bad_request("message to unpin not found")
    chat.pinned.remove(message_id)
    world.chats.put(chat)
    return True


def origin(world: World, message: Message) -> Json:
    """Return the MessageOrigin of a message that is forwarded for the first time."""
    chat = world.find_chat(message.chat_id)
    if chat.type == "channel":
        return {
            "type": "channel",
            "date": message.date,
            "chat": world.show_chat(chat),
            "message_id": message.message_id,
        }
    return {
        "type": "user",
        "date": message.date,
        "sender_user": world.show_person(world.person(message.sender_id)),
    }


def _send(world: World, params: Params, content: Json) -> Json:
    chat = world.writable_chat(params.text("chat_id"))
    markup = keyboard(params, chat)
    reply = params.json_object("reply_parameters")
    reply_to = int(reply.get("message_id", 0)) or params.integer("reply_to_message_id")
    if reply_to and world.message(chat, reply_to) is None:
        if not reply.get("allow_sending_without_reply"):
            raise bad_request("message to be replied not found")
        reply_to = 0
    return world.show_message(
        world.add_message(
            chat,
            world.bot_id,
            content,
            markup=markup,
            reply_to=reply_to,
            protected=params.flag("protect_content"),
            silent=params.flag("disable_notification"),
        )
    )


def _send_media(world: World, params: Params, kind: str) -> Json:
    world.writable_chat(params.text("chat_id"))
    caption = _caption(params)
    reference = params.text(kind)
    upload = params.files.get(kind) or params.files.get(reference.removeprefix("attach://"))
    file = file_to_send(world, kind, reference, upload)
    return _send(world, params, {**media.show(file), **caption})


def _caption(params: Params) -> Json:
    return caption_content(
        params.text("caption"), params.text("parse_mode"), params.json_array("caption_entities")
    )


def _source(world: World, params: Params, to: str) -> Message:
    chat = world.readable_chat(params.text("from_chat_id"))
    message = world.find_message(chat, params.integer("message_id"), to)
    if message.protected or chat.protected:
        done = "forwarded" if to == "forward" else "copied"
        raise bad_request(f"message has protected content and can't be {done}")
    return message


def _editable(world: World, chat: Chat, params: Params) -> Message:
    message = world.find_message(chat, params.integer("message_id"), "edit")
    allowed = message.by_bot and message.forward_origin is None
    if chat.type == "channel":
        own = message.by_bot and world.has_right(chat, "can_post_messages")
        allowed = message.forward_origin is None and (
            own or world.has_right(chat, "can_edit_messages")
        )
    if not allowed:
        raise bad_request("message can't be edited")
    return message


def _edit(world: World, message: Message, content: Json, markup: Json | None) -> Json:
    if message.content == content and message.markup == markup:
        raise bad_request(
            "message is not modified: specified new message content and reply markup are exactly "
            "the same as a current content and reply markup of the message"
        )
    message.content, message.markup = content, markup
    message.edit_date = int(time.time())
    return world.show_message(world.messages.put(message))


def _check_pinning(world: World, chat: Chat) -> None:
    right = "can_edit_messages" if chat.type == "channel" else "can_pin_messages"
    if chat.type != "private" and not world.has_right(chat, right):
        raise bad_request("not enough rights to manage pinned messages in the chat")
