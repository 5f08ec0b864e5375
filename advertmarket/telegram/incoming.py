"""An update as handlers see it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

_COMMAND = re.compile(r"/([a-z0-9_]{1,32})(?:@\w+)?(?:\s+(.*))?", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Person:
    """Who did it, as Telegram describes them."""

    id: int
    first_name: str
    username: str
    language_code: str


@dataclass(frozen=True)
class Incoming:
    """An update: `kind` is the Bot API's name of it, `body` that part of its JSON.

    A private message may be a `command` with an `argument`; a press of a button has
    `callback_data` and the `message_id` that the button stands under; my_chat_member has the bot's
    new `status` in the chat.
    """

    update_id: int
    kind: str
    chat_id: int
    chat_type: str
    user: Person | None
    text: str = ""
    command: str = ""
    argument: str = ""
    message_id: int | None = None
    callback_id: str = ""
    callback_data: str = ""
    status: str = ""
    body: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_private(self) -> bool:
        """Whether it happened between a person and the bot alone."""
        return self.chat_type == "private"

    @property
    def is_request(self) -> bool:
        """Whether a person wants something done: a command, or the press of a button."""
        return bool(self.command) or self.kind == "callback_query"


def parse(update: dict[str, Any]) -> Incoming:
    """Read an update of any kind.

    Raises:
        KeyError, TypeError, AttributeError: it does not look like one.
    """
    kind, body = next((key, value) for key, value in update.items() if key != "update_id")
    message = body.get("message", {}) if kind == "callback_query" else body
    sender = body.get("from")
    chat = message.get("chat") or {"id": sender["id"] if sender else 0, "type": "private"}
    text = body.get("text") or body.get("caption") or ""
    is_private = chat["type"] == "private"
    command = _COMMAND.fullmatch(text) if kind == "message" and is_private else None
    return Incoming(
        update_id=update["update_id"],
        kind=kind,
        chat_id=chat["id"],
        chat_type=chat["type"],
        user=_person(sender) if sender else None,
        text=text,
        command=command[1] if command else "",
        argument=(command[2] or "").strip() if command else "",
        message_id=message.get("message_id"),
        callback_id=body.get("id", "") if kind == "callback_query" else "",
        callback_data=body.get("data", "") if kind == "callback_query" else "",
        status=body.get("new_chat_member", {}).get("status", ""),
        body=body,
    )


def _person(sender: dict[str, Any]) -> Person:
    return Person(
        id=sender["id"],
        first_name=sender.get("first_name", ""),
        username=sender.get("username", ""),
        language_code=sender.get("language_code", ""),
    )
