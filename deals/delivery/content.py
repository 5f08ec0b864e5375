"""What counts as the content of a post, and what counts as a change of it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from typing import Any

from advertmarket.telegram.content import Message

SLIGHT_CHANGE = 0.05
"""Text that differs by less than this part of it is for an operator to judge."""

_ADDRESS = re.compile(r"\S*[\w/][.@:]\w\S*|@\w+")


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
    if differing(approved, found) != ["text"] or _addresses(approved) != _addresses(found):
        return Difference.CHANGED
    longer = max(len(approved.text), len(found.text))
    changed = longer - _common(approved.text, found.text)
    return Difference.SLIGHT if changed < SLIGHT_CHANGE * longer else Difference.CHANGED


def differing(approved: Content, found: Content) -> list[str]:
    """Return the names of what differs: text, links, media, buttons."""
    names = ("text", "links", "media", "buttons")
    return [name for name in names if getattr(approved, name) != getattr(found, name)]


def _addresses(content: Content) -> list[str]:
    """Return the words of a text that may be addresses: those with a dot or an @ inside."""
    return _ADDRESS.findall(content.text)


def _common(one: str, other: str) -> int:
    """Return how many characters two texts share at their beginning and their end together."""
    together = _shared_beginning(one, other) + _shared_beginning(one[::-1], other[::-1])
    return min(together, len(one), len(other))


def _shared_beginning(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
