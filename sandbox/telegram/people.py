"""What people do in Telegram: write to the bot, press buttons, run channels."""

from __future__ import annotations

import time

from sandbox.telegram import media
from sandbox.telegram.content import MAX_TEXT, caption_content, url_buttons_only
from sandbox.telegram.errors import bad_request
from sandbox.telegram.formatting import parse_html, plain
from sandbox.telegram.messages import origin
from sandbox.telegram.model import CallbackQuery, Chat, Json, Message, Person
from sandbox.telegram.world import ADMIN_RIGHTS, World, random_id

_CHANNEL_ID_BASE = -1_000_000_000_000
OWNER: Json = {"status": "creator", "is_anonymous": False}


def create_user(
    world: World,
    *,
    user_id: int,
    first_name: str,
    last_name: str = "",
    username: str = "",
    language_code: str = "",
    started: bool = False,
) -> Person:
    """Add a user; again for one who is there, change the names. `started`: has pressed Start."""
    known = world.people.get(user_id)
    person = Person(
        user_id,
        first_name,
        last_name,
        username,
        language_code,
        started=started or bool(known and known.started),
        blocked=bool(known and known.blocked),
    )
    if world.chats.get(user_id) is None:
        world.chats.put(Chat(user_id, "private"))
    return world.people.put(person)


def create_channel(
    world: World,
    *,
    title: str,
    creator_id: int,
    username: str = "",
    description: str = "",
    protected: bool = False,
    subscribers: int = 0,
    chat_id: int = 0,
    group: bool = False,
) -> Chat:
    """Add a channel (with `group`, a supergroup) whose creator is this user."""
    world.person(creator_id)
    return world.chats.put(
        Chat(
            id=chat_id or _CHANNEL_ID_BASE - 1_700_000_000 - world.serial(),
            type="supergroup" if group else "channel",
            title=title,
            username=username,
            description=description,
            protected=protected,
            members={str(creator_id): dict(OWNER)},
            subscribers=subscribers,
        )
    )


def administrator(rights: Json | None = None) -> Json:
    """Return a ChatMemberAdministrator without its user; may post and edit unless told else."""
    given = dict.fromkeys(ADMIN_RIGHTS, False)
    given |= {"can_manage_chat": True, "can_post_messages": True, "can_edit_messages": True}
    unknown = set(rights or {}) - set(given) - {"can_pin_messages", "can_manage_topics"}
    if unknown:
        raise bad_request(f"no such rights: {sorted(unknown)}")
    return {
        "status": "administrator",
        "can_be_edited": False,
        "is_anonymous": False,
        **given,
        **(rights or {}),
    }


def set_member(world: World, chat: Chat, user_id: int, by: int, member: Json) -> None:
    """Give a user another standing in the chat; the bot hears of it as Telegram tells it."""
    old = world.membership(chat, user_id)
    if member["status"] == "left":
        chat.members.pop(str(user_id), None)
    else:
        chat.members[str(user_id)] = member
    world.chats.put(chat)
    change = {
        "chat": world.show_chat(chat),
        "from": world.show_person(world.person(by)),
        "date": int(time.time()),
        "old_chat_member": old,
        "new_chat_member": world.membership(chat, user_id),
    }
    if user_id == world.bot_id:
        world.emit("my_chat_member", chat.id, change)
    elif world.is_administrator(chat, world.bot_id):
        world.emit("chat_member", chat.id, change)


def set_blocked(world: World, user_id: int, *, blocked: bool) -> None:
    """Let a user stop the bot, or start it again."""
    person = world.person(user_id)
    if person.blocked == blocked:
        return
    chat = world.find_chat(user_id)
    person.blocked = blocked
    world.people.put(person)
    bot = world.show_person(world.person(world.bot_id))
    standings = [
        {"user": bot, "status": "member"},
        {"user": bot, "status": "kicked", "until_date": 0},
    ]
    old, new = standings if blocked else reversed(standings)
    world.emit(
        "my_chat_member",
        chat.id,
        {
            "chat": world.show_chat(chat),
            "from": world.show_person(person),
            "date": int(time.time()),
            "old_chat_member": old,
            "new_chat_member": new,
        },
    )


def delete_account(world: World, user_id: int) -> None:
    """Let a user leave Telegram for good."""
    person = world.person(user_id)
    person.deactivated = True
    world.people.put(person)


def send(
    world: World,
    *,
    chat: Chat,
    user_id: int,
    text: str = "",
    media_kind: str = "",
    html: bool = False,
) -> Message:
    """Let a user write to the bot or a group, or post; `text` is the caption of a medium."""
    person = world.person(user_id)
    if chat.type == "private":
        if person.blocked:
            set_blocked(world, user_id, blocked=False)
        if not person.started:
            person.started = True
            world.people.put(person)
    elif chat.type == "channel" and not _may_post(chat, user_id):
        raise bad_request("this user may not post to the channel")
    if media_kind:
        file = media.register(world, media_kind)
        content = {**media.show(file), **caption_content(text, "html" if html else "", [])}
    else:
        content = _text(text, html=html)
    message = world.add_message(chat, user_id, content)
    world.emit_message(message)
    return message


def edit(
    world: World,
    message: Message,
    *,
    text: str | None,
    buttons: list[list[Json]] | None,
    html: bool,
) -> None:
    """Let a person change a post: its text or caption, or its buttons."""
    if text is not None:
        name = "text" if "text" in message.content else "caption"
        kept = {
            k: v
            for k, v in message.content.items()
            if k not in (name, "entities", "caption_entities")
        }
        if name == "text":
            message.content = {**kept, **_text(text, html=html)}
        else:
            message.content = {**kept, **caption_content(text, "html" if html else "", [])}
    if buttons is not None:
        message.markup = {"inline_keyboard": buttons} if buttons else None
    message.edit_date = int(time.time())
    world.messages.put(message)
    world.emit_message(message, edited=True)


def replace_media(world: World, message: Message, kind: str) -> None:
    """Let a person put another file in the place of a post's."""
    kept = {k: v for k, v in message.content.items() if k not in media.KINDS}
    message.content = {**media.show(media.register(world, kind)), **kept}
    message.edit_date = int(time.time())
    world.messages.put(message)
    world.emit_message(message, edited=True)


def delete(world: World, message: Message) -> None:
    """Let a person delete a message; the bot is not told."""
    message.deleted = True
    world.messages.put(message)


def forward(world: World, *, message: Message, chat: Chat, user_id: int) -> Message:
    """Let a user forward a message to the bot or to a chat."""
    if message.protected or world.find_chat(message.chat_id).protected:
        raise bad_request("message has protected content and can't be forwarded")
    forwarded = world.add_message(
        chat,
        user_id,
        media.reissued(world, message.content),
        markup=url_buttons_only(message.markup),
        forward_origin=message.forward_origin or origin(world, message),
    )
    world.emit_message(forwarded)
    return forwarded


def press(
    world: World, *, chat: Chat, message_id: int, user_id: int, label: str
) -> tuple[Json, CallbackQuery | None]:
    """Let a user press the button with this label (or callback data).

    Returns:
        The button, and the query if it asks the bot.
    """
    message = world.message(chat, message_id)
    if message is None:
        raise bad_request("message not found")
    rows = (message.markup or {}).get("inline_keyboard", [])
    buttons = [button for row in rows for button in row]
    for button in buttons:
        if label in (button["text"], button.get("callback_data")):
            break
    else:
        raise bad_request(f"no button {label!r}, only {[button['text'] for button in buttons]}")
    if "callback_data" not in button:
        return button, None
    person = world.person(user_id)
    query = world.queries.put(
        CallbackQuery(
            random_id(), user_id, chat.id, message_id, button["callback_data"], time.time()
        )
    )
    world.emit(
        "callback_query",
        chat.id,
        {
            "id": query.id,
            "from": world.show_person(person),
            "message": world.show_message(message),
            "chat_instance": str(abs(chat.id) * 7919),
            "data": query.data,
        },
    )
    return button, query


def _text(text: str, *, html: bool) -> Json:
    shown, entities = parse_html(text) if html else plain(text, [])
    if not 1 <= len(shown) <= MAX_TEXT:
        raise bad_request("message text is empty or too long")
    return {"text": shown, "entities": entities} if entities else {"text": shown}


def _may_post(chat: Chat, user_id: int) -> bool:
    member = chat.members.get(str(user_id), {})
    return member.get("status") == "creator" or bool(member.get("can_post_messages"))
