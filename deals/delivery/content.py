"""What counts as the content of a post, and what counts as a change of it. Pure."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from advertmarket.telegram.content import Message

SLIGHT_CHANGE = 0.05
"""Text that differs by less than this part of it is for an operator to judge."""


class Difference(StrEnum):
    """How far a message is from the approved one."""

    SAME = "SAME"
    SLIGHT = "SLIGHT"
    CHANGED = "CHANGED"


@dataclass(frozen=True)
class Content:
    """A message's content: formatting is no part of it, the links behind words are.

    `links` are the URLs of text links, `media` the `file_unique_id`s (a `file_id` differs from
    message to message), `buttons` label and URL, each in the order of the message.
    """

    text: str
    links: tuple[str, ...] = ()
    media: tuple[str, ...] = ()
    buttons: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, message: Message) -> Content:
        """Return the content of a message of Telegram's."""
        return cls(
            text=message.text,
            links=tuple(entity.url for entity in message.entities if entity.type == "text_link"),
            media=tuple(media.file_unique_id for media in message.media),
            buttons=tuple((button.label, button.url) for button in message.buttons),
        )

    def to_json(self) -> dict[str, Any]:
        """Return it for a column of a table."""
        return {
            "text": self.text,
            "links": list(self.links),
            "media": list(self.media),
            "buttons": [list(button) for button in self.buttons],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Content:
        """Return what `to_json` wrote."""
        return cls(
            text=data["text"],
            links=tuple(data["links"]),
            media=tuple(data["media"]),
            buttons=tuple((label, url) for label, url in data["buttons"]),
        )


Parts = tuple[tuple[Content, ...], ...]
"""The messages of each call that posts an ad."""


def digest(contents: Iterable[Content]) -> str:
    """Return the SHA-256 over the contents of messages, in order, as hex."""
    canonical = json.dumps([content.to_json() for content in contents], ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def compare(approved: Content, found: Content) -> Difference:
    """Tell a post from the approved one: a changed link, medium or button is never slight."""
    if approved == found:
        return Difference.SAME
    if (approved.links, approved.media, approved.buttons) != (
        found.links,
        found.media,
        found.buttons,
    ):
        return Difference.CHANGED
    likeness = difflib.SequenceMatcher(None, approved.text, found.text, autojunk=False).ratio()
    return Difference.SLIGHT if 1 - likeness < SLIGHT_CHANGE else Difference.CHANGED
