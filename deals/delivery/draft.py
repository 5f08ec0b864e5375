"""An ad as the owner's side writes it, and the rules that it obeys. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from advertmarket.errors import Code, DomainError
from advertmarket.telegram.content import Button, Media, ParseMode, Rows

from .content import Content, Parts

if TYPE_CHECKING:
    from deals.models import Creative

MAX_TEXT, MAX_CAPTION = 4096, 1024
"""In characters of the shown text: https://core.telegram.org/bots/api#sendmessage."""

MAX_MEDIA, MAX_BUTTONS = 10, 5
_PUNCTUATION = ".,;:!?()[]«»“”\"'"


class CreativeInvalid(DomainError):
    """The draft breaks a rule of the brief, of the product or of Telegram."""

    code: ClassVar[Code] = Code.CREATIVE_INVALID
    message = _("The draft cannot be used: {problem}")

    def __init__(self, problem: Promise | str) -> None:
        super().__init__(problem=problem)


@dataclass(frozen=True)
class Part:
    """One call of the Bot API: a text, one medium, or an album with its caption."""

    text: str
    media: tuple[Media, ...] = ()
    buttons: Rows = ()
    parse_mode: ParseMode | None = None
    link_preview: bool = True


@dataclass(frozen=True)
class Draft:
    """A version of the ad. An album has no buttons: they follow in a message of `buttons_text`."""

    text: str = ""
    parse_mode: ParseMode | None = None
    media: tuple[Media, ...] = ()
    buttons: tuple[Button, ...] = ()
    buttons_text: str = ""
    link_preview: bool = True

    def check(self) -> None:
        """Refuse what Telegram could not post.

        Raises:
            CreativeInvalid: says what is wrong.
        """
        if not self.text and not self.media:
            raise CreativeInvalid(_("it is empty."))
        if len(self.media) > MAX_MEDIA or len(self.buttons) > MAX_BUTTONS:
            raise CreativeInvalid(_("it has too many media or buttons."))
        if self._is_album:
            kinds = {media.kind for media in self.media}
            if "GIF" in kinds or ("DOCUMENT" in kinds and len(kinds) > 1):
                raise CreativeInvalid(
                    _("an album holds photos and videos, or documents only; a GIF stands alone.")
                )
        if bool(self.buttons_text) != (self._is_album and bool(self.buttons)):
            raise CreativeInvalid(
                _("an album with buttons needs a text for the message with the buttons.")
                if self._is_album and self.buttons
                else _("only an album with buttons has a separate text for them.")
            )

    @property
    def parts(self) -> tuple[Part, ...]:
        """The calls that post it, in order."""
        rows = tuple((button,) for button in self.buttons)
        if not self._is_album:
            return (Part(self.text, self.media, rows, self.parse_mode, self.link_preview),)
        album = Part(self.text, self.media, (), self.parse_mode, self.link_preview)
        if not rows:
            return (album,)
        return album, Part(self.buttons_text, (), rows, self.parse_mode, self.link_preview)

    def to_columns(self) -> dict[str, Any]:
        """Return the columns of `models.Creative` that hold it."""
        return {
            "text": self.text,
            "parse_mode": self.parse_mode or "",
            "media": [[media.kind, media.file_id] for media in self.media],
            "buttons": [[button.label, button.url] for button in self.buttons],
            "buttons_text": self.buttons_text,
            "link_preview": self.link_preview,
        }

    @classmethod
    def of(cls, creative: Creative) -> Draft:
        """Return what `to_columns` wrote."""
        return cls(
            text=creative.text,
            parse_mode=cast("ParseMode", creative.parse_mode) or None,
            media=tuple(Media(kind, file_id) for kind, file_id in creative.media),
            buttons=tuple(Button(label, url=url) for label, url in creative.buttons),
            buttons_text=creative.buttons_text,
            link_preview=creative.link_preview,
        )

    @property
    def _is_album(self) -> bool:
        return len(self.media) > 1


def check_against_brief(
    parts: Parts, *, links: Iterable[str], forbidden_words: Iterable[str]
) -> None:
    """Hold the shown ad against the brief: every link is in it, no forbidden word is.

    Raises:
        CreativeInvalid: names the link or the word, or the text that is too long.
    """
    contents = [content for part in parts for content in part]
    for content in contents:
        limit = MAX_CAPTION if content.media else MAX_TEXT
        if len(content.text) > limit:
            raise CreativeInvalid(_("a text of it is longer than %d characters.") % limit)
    shown = "\n".join(content.text for content in contents)
    labels = "\n".join(label for content in contents for label, _url in content.buttons)
    present = {_bare(word.strip(_PUNCTUATION)) for word in shown.split()} | _targets(contents)
    for link in links:
        if _bare(link) not in present:
            raise CreativeInvalid(_("it lacks the link %s.") % link)
    for word in forbidden_words:
        if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", f"{shown}\n{labels}", re.IGNORECASE):
            raise CreativeInvalid(_("it contains the forbidden word “%s”.") % word)


def _targets(contents: Collection[Content]) -> set[str]:
    urls = {_bare(url) for content in contents for url in content.links}
    return urls | {_bare(url) for content in contents for _label, url in content.buttons}


def _bare(url: str) -> str:
    return url.rstrip("/")
