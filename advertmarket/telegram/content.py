"""What goes to and comes from the Bot API, as values of our own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

MediaKind = Literal["PHOTO", "VIDEO", "GIF", "DOCUMENT"]
ParseMode = Literal["HTML", "MarkdownV2"]


@dataclass(frozen=True)
class Button:
    """An inline button: opens `url`, or sends `callback_data` (at most 64 bytes) to the bot."""

    label: str
    url: str = ""
    callback_data: str = ""


Rows = tuple[tuple[Button, ...], ...]
"""An inline keyboard, row by row."""


@dataclass(frozen=True)
class Media:
    """A file that Telegram holds.

    `file_id` sends it again and differs from bot to bot; `file_unique_id` says which file it is.
    """

    kind: MediaKind
    file_id: str
    file_unique_id: str = ""


@dataclass(frozen=True)
class Entity:
    """A formatted part of a text; offset and length count UTF-16 code units."""

    type: str
    offset: int
    length: int
    url: str = ""


@dataclass(frozen=True)
class Message:
    """A message as Telegram keeps it; `text` is the caption where there is media."""

    message_id: int
    chat_id: int
    text: str
    entities: tuple[Entity, ...]
    media: tuple[Media, ...]
    buttons: tuple[Button, ...]
    date: datetime


@dataclass(frozen=True)
class Chat:
    """A chat, with what only getChat tells; `type`: private, group, supergroup or channel."""

    id: int
    type: str
    title: str
    username: str
    description: str
    is_protected: bool
    pinned_message_id: int | None


@dataclass(frozen=True)
class Member:
    """Someone's place in a chat.

    `status`: creator, administrator, member, restricted, left or kicked; `rights` names what an
    administrator may do, "can_…".
    """

    user_id: int
    status: str
    rights: frozenset[str]

    def may(self, right: str) -> bool:
        """Whether they may do it; the creator may do everything."""
        return self.status == "creator" or right in self.rights

    @property
    def is_administrator(self) -> bool:
        """Whether they run the chat, alone or with others."""
        return self.status in {"creator", "administrator"}


@dataclass(frozen=True)
class WebhookInfo:
    """What Telegram says about the webhook; never the secret."""

    url: str
    pending: int
    last_error_at: datetime | None
    last_error: str


def as_keyboard(rows: Rows) -> list[list[dict[str, Any]]]:
    """Return the rows as JSON, for a column of a table."""
    return [
        [{"label": b.label, "url": b.url, "callback_data": b.callback_data} for b in row]
        for row in rows
    ]


def from_keyboard(rows: list[list[dict[str, Any]]]) -> Rows:
    """Return the rows that `as_keyboard` wrote."""
    return tuple(tuple(Button(**button) for button in row) for row in rows)
