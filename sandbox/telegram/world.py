"""Telegram's state, and how it is shown to the bot: one lock, one journal, no HTTP."""

from __future__ import annotations

import secrets
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from sandbox.telegram.errors import bad_request, forbidden
from sandbox.telegram.journal import Journal, Table
from sandbox.telegram.model import (
    CallbackQuery,
    Chat,
    Json,
    Media,
    Message,
    Person,
    Settings,
    Update,
    message_key,
)

UPDATE_TYPES = (
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "callback_query",
    "my_chat_member",
    "chat_member",
)
_ONLY_ON_REQUEST = ("chat_member",)
ADMIN_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
    "can_post_messages",
    "can_edit_messages",
)


class World:
    """All of Telegram that one bot sees.

    Use it as a context manager around anything that reads or changes it: that holds the lock, and
    on leaving writes the changes to the journal and wakes who waits for `changed`.
    """

    def __init__(self, token: str, journal: Path | None = None) -> None:
        """Take up what the journal holds; `token` is the bot's (its id stands before the colon)."""
        self.token = token
        self.bot_id = int(token.partition(":")[0])
        self.people: Table[Person] = Table("people", Person)
        self.chats: Table[Chat] = Table("chats", Chat)
        self.messages: Table[Message] = Table("messages", Message)
        self.media: Table[Media] = Table("media", Media)
        self.queries: Table[CallbackQuery] = Table("queries", CallbackQuery)
        self.updates: Table[Update] = Table("updates", Update)
        self._settings: Table[Settings] = Table("settings", Settings)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self._journal = Journal(
            journal,
            [
                self.people,
                self.chats,
                self.messages,
                self.media,
                self.queries,
                self.updates,
                self._settings,
            ],
        )
        with self:
            if self.people.get(self.bot_id) is None:
                self.people.put(
                    Person(self.bot_id, "Advert Market", username="advertmarket_bot", is_bot=True)
                )
                self._settings.put(Settings())

    def __enter__(self) -> World:
        """Take the lock."""
        self.lock.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write down the changes, wake who waits, release the lock."""
        if self._journal.flush():
            self.changed.notify_all()
        self.lock.release()

    def close(self) -> None:
        """Close the journal."""
        with self.lock:
            self._journal.close()

    @property
    def settings(self) -> Settings:
        """The record about the bot; use `save_settings` after changing it."""
        return self._settings.get("bot") or self._settings.put(Settings())

    def save_settings(self) -> None:
        """Note that the settings have changed."""
        self._settings.put(self.settings)

    def serial(self) -> int:
        """Return a number that was never returned before."""
        settings = self.settings
        settings.next_serial += 1
        self.save_settings()
        return settings.next_serial

    # -- chats and members

    def find_chat(self, reference: str | int) -> Chat:
        """Return the chat with this id or @username.

        Raises:
            ApiError: 400, chat not found.
        """
        text = str(reference).strip()
        if not text:
            raise bad_request("chat_id is empty")
        if text.startswith("@"):
            for chat in self.chats:
                if chat.type != "private" and chat.username.lower() == text[1:].lower() != "":
                    return chat
            raise bad_request("chat not found")
        chat_or_none = self.chats.get(text)
        if chat_or_none is None:
            raise bad_request("chat not found")
        return chat_or_none

    def readable_chat(self, reference: str | int) -> Chat:
        """Return a chat that the bot may look at (raises also 403 as the Bot API does)."""
        chat = self.find_chat(reference)
        status = self.membership(chat, self.bot_id)["status"]
        if chat.type != "private" and status == "kicked":
            raise forbidden(f"bot was kicked from the {chat.type} chat")
        if chat.type != "private" and status == "left" and not chat.username:
            raise forbidden(f"bot is not a member of the {chat.type} chat")
        return chat

    def editable_chat(self, reference: str | int) -> Chat:
        """Return a chat in which the bot may act."""
        chat = self.readable_chat(reference)
        if chat.type == "private":
            if self.person(chat.id).deactivated:
                raise forbidden("user is deactivated")
        elif self.membership(chat, self.bot_id)["status"] == "left":
            raise forbidden(f"bot is not a member of the {chat.type} chat")
        return chat

    def writable_chat(self, reference: str | int) -> Chat:
        """Return a chat to which the bot may send."""
        chat = self.editable_chat(reference)
        if chat.type == "private":
            person = self.person(chat.id)
            if person.is_bot:
                raise forbidden("bot can't send messages to bots")
            if person.blocked:
                raise forbidden("bot was blocked by the user")
            if not person.started:
                raise forbidden("bot can't initiate conversation with a user")
        elif chat.type == "channel" and not self.has_right(chat, "can_post_messages"):
            raise bad_request("need administrator rights in the channel chat")
        return chat

    def membership(self, chat: Chat, user_id: int) -> Json:
        """Return the ChatMember object of a user (status `left` if there is none)."""
        member = chat.members.get(str(user_id), {"status": "left"})
        person = self.people.get(user_id)
        user = self.show_person(person) if person else {"id": user_id}
        return {"user": user, **member}

    def has_right(self, chat: Chat, right: str) -> bool:
        """Return whether the bot is an administrator with this right."""
        return bool(chat.members.get(str(self.bot_id), {}).get(right))

    def is_administrator(self, chat: Chat, user_id: int) -> bool:
        """Return whether the user is the creator or an administrator."""
        return self.membership(chat, user_id)["status"] in ("creator", "administrator")

    def person(self, user_id: int) -> Person:
        """Return the user.

        Raises:
            ApiError: 400, user not found.
        """
        person = self.people.get(user_id)
        if person is None:
            raise bad_request("user not found")
        return person

    # -- messages

    def message(self, chat: Chat, message_id: int) -> Message | None:
        """Return a message unless it never was or is deleted."""
        message = self.messages.get(message_key(chat.id, message_id))
        return None if message is None or message.deleted else message

    def find_message(self, chat: Chat, message_id: int, to: str) -> Message:
        """Return a message that exists; `to` is what is wanted ("edit": message to edit not found).

        Raises:
            ApiError: 400.
        """
        if message_id == 0:
            raise bad_request("message identifier is not specified")
        if message_id < 0:
            raise bad_request("MESSAGE_ID_INVALID")
        message = self.message(chat, message_id)
        member = self.membership(chat, self.bot_id)["status"] not in ("left", "kicked")
        if message is None or not (member or chat.type == "private"):
            raise bad_request(f"message to {to} not found")
        return message

    def add_message(self, chat: Chat, sender_id: int, content: Json, **fields: Any) -> Message:
        """Put a message at the end of the chat and return it; `fields` as in Message."""
        if chat.type == "private":  # the bot's mailbox counts all its private chats together
            settings = self.settings
            settings.last_message_id += 1
            chat.last_message_id = settings.last_message_id
            self.save_settings()
        else:
            chat.last_message_id += 1
        self.chats.put(chat)
        return self.messages.put(
            Message(
                chat_id=chat.id,
                message_id=chat.last_message_id,
                sender_id=0 if chat.type == "channel" else sender_id,
                by_bot=sender_id == self.bot_id,
                date=int(time.time()),
                content=content,
                **fields,
            )
        )

    def messages_of(self, chat: Chat) -> list[Message]:
        """Return the chat's messages, oldest first, without the deleted ones."""
        return [m for m in self.messages if m.chat_id == chat.id and not m.deleted]

    # -- updates

    def emit(self, kind: str, queue: int, payload: Json) -> None:
        """Queue an update for the bot, unless it has not asked for this kind."""
        wanted = self.settings.allowed_updates
        if kind not in wanted if wanted else kind in _ONLY_ON_REQUEST:
            return
        settings = self.settings
        update_id = settings.next_update_id
        settings.next_update_id += 1
        self.save_settings()
        self.updates.put(Update(update_id, queue, kind, payload, time.time()))

    def emit_message(self, message: Message, *, edited: bool = False) -> None:
        """Queue the update about a message, unless it is the bot's own."""
        if message.by_bot:
            return
        chat = self.find_chat(message.chat_id)
        kind = "channel_post" if chat.type == "channel" else "message"
        self.emit(f"edited_{kind}" if edited else kind, chat.id, self.show_message(message))

    # -- how the Bot API shows things

    def show_person(self, person: Person) -> Json:
        """Return the User object."""
        shown: Json = {
            "id": person.id,
            "is_bot": person.is_bot,
            "first_name": person.first_name,
        }
        for name in ("last_name", "username", "language_code"):
            if value := getattr(person, name):
                shown[name] = value
        return shown

    def show_chat(self, chat: Chat) -> Json:
        """Return the Chat object."""
        if chat.type != "private":
            shown: Json = {"id": chat.id, "title": chat.title}
            if chat.username:
                shown["username"] = chat.username
            return {**shown, "type": chat.type}
        person = self.show_person(self.person(chat.id))
        names = ("id", "first_name", "last_name", "username")
        return {**{name: person[name] for name in names if name in person}, "type": "private"}

    def show_message(self, message: Message, *, with_reply: bool = True) -> Json:
        """Return the Message object."""
        chat = self.find_chat(message.chat_id)
        shown: Json = {"message_id": message.message_id}
        if chat.type == "channel":
            shown["sender_chat"] = self.show_chat(chat)
        else:
            shown["from"] = self.show_person(self.person(message.sender_id))
        shown["chat"] = self.show_chat(chat)
        shown["date"] = message.date
        if message.edit_date:
            shown["edit_date"] = message.edit_date
        if message.forward_origin:
            shown["forward_origin"] = message.forward_origin
        if message.media_group_id:
            shown["media_group_id"] = message.media_group_id
        if message.protected or chat.protected:
            shown["has_protected_content"] = True
        replied = self.message(chat, message.reply_to)
        if with_reply and replied:
            shown["reply_to_message"] = self.show_message(replied, with_reply=False)
        shown.update(message.content)
        if message.markup:
            shown["reply_markup"] = message.markup
        return shown


def random_id() -> str:
    """Return a number of 18 digits as text, as callback queries and albums have."""
    return str(10**17 + secrets.randbelow(9 * 10**17))
