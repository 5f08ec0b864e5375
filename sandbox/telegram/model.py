"""The records of which Telegram's state consists; every field is a JSON value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Person:
    """A user, or the bot itself."""

    id: int
    first_name: str
    last_name: str = ""
    username: str = ""
    language_code: str = ""
    is_bot: bool = False
    started: bool = False
    blocked: bool = False
    deactivated: bool = False

    @property
    def key(self) -> str:
        """The user id."""
        return str(self.id)


@dataclass
class Chat:
    """A private chat (its id is the user's), a supergroup or a channel.

    `members` maps user ids to ChatMember objects without their `user`.
    """

    id: int
    type: str
    title: str = ""
    username: str = ""
    description: str = ""
    protected: bool = False
    members: dict[str, Json] = field(default_factory=dict)
    subscribers: int = 0
    last_message_id: int = 0
    pinned: list[int] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The chat id."""
        return str(self.id)


@dataclass
class Message:
    """A message; `content` holds text or caption, entities and media as the Bot API shows them.

    `sender_id` is 0 for a post of the channel itself; `by_bot` says whether our bot sent it, and
    `silent` whether it made no sound.
    """

    chat_id: int
    message_id: int
    sender_id: int
    by_bot: bool
    date: int
    content: Json
    markup: Json | None = None
    edit_date: int = 0
    forward_origin: Json | None = None
    media_group_id: str = ""
    reply_to: int = 0
    protected: bool = False
    silent: bool = False
    deleted: bool = False

    @property
    def key(self) -> str:
        """Chat id and message id."""
        return message_key(self.chat_id, self.message_id)


def message_key(chat_id: int, message_id: int) -> str:
    """Return the key of a message."""
    return f"{chat_id}/{message_id}"


@dataclass
class Media:
    """A file that Telegram holds; a photo has one entry of `files` per size, others have one."""

    kind: str
    files: list[Json]
    content: str = ""

    @property
    def key(self) -> str:
        """The `file_unique_id` of its largest file."""
        return str(self.files[-1]["file_unique_id"])


@dataclass
class CallbackQuery:
    """A press of an inline button, and what the bot answered to it."""

    id: str
    user_id: int
    chat_id: int
    message_id: int
    data: str
    created_at: float
    answer: Json | None = None

    @property
    def key(self) -> str:
        """The query id."""
        return self.id


@dataclass
class Update:
    """An update that the bot has not settled; `queue` is the chat whose order it keeps."""

    update_id: int
    queue: int
    kind: str
    payload: Json
    created_at: float
    attempts: int = 0
    due_at: float = 0

    @property
    def key(self) -> str:
        """The update id."""
        return str(self.update_id)


@dataclass
class Settings:
    """The one record about the bot: its webhook, its commands, the counters of its mailbox."""

    webhook_url: str = ""
    secret_token: str = ""
    max_connections: int = 40
    allowed_updates: list[str] = field(default_factory=list)
    last_error_date: int = 0
    last_error_message: str = ""
    commands: dict[str, list[Json]] = field(default_factory=dict)
    next_update_id: int = 500_000_001
    last_message_id: int = 0
    next_serial: int = 1

    @property
    def key(self) -> str:
        """There is one record."""
        return "bot"
