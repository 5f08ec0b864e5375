"""Which function handles which update. Apps register theirs in `bot.py`, found at start.

@command("mydeals", description=_("Your deals"))
def show_deals(update: Incoming, *, at: datetime) -> None:
    reply(update, text, buttons, at=at)

@callback("accept")            # callback data "accept:…", see callbacks.pack
def accept(update: Incoming, *, at: datetime) -> None: ...

@on("my_chat_member")          # any other update of this kind
def note(update: Incoming, *, at: datetime) -> None: ...

@gate                          # before every command and press
def refuse(update: Incoming) -> None: ...

@command("pause", description=_("Pause"), only=is_operator)  # others never learn of it
def pause(update: Incoming, *, at: datetime) -> None: ...

@menus                         # whose chats show such commands, and in which language
def chats() -> dict[int, str]: ...

A handler runs in the database transaction that also marks the update as done, with the person's
language active. It calls one service and no network. A `DomainError` is told to the person; any
other error has the update tried again.
"""

from __future__ import annotations

import html
import logging
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from django.conf import settings
from django.db import transaction
from django.utils import translation
from django.utils.functional import Promise

from advertmarket.errors import DomainError

from . import outgoing
from .content import Rows
from .incoming import Incoming

logger = logging.getLogger(__name__)


class Handler(Protocol):
    """Reacts to an update."""

    def __call__(self, update: Incoming, /, *, at: datetime) -> None:
        """Apply `update`; `at` is now."""


H = TypeVar("H", bound=Handler)
LanguageSource = Callable[[int], str | None]
S = TypeVar("S", bound=LanguageSource)
Audience = Callable[[int], bool]
"""Whether something is there for the person with this Telegram id."""

Menus = Callable[[], dict[int, str]]
M = TypeVar("M", bound=Menus)
Gate = Callable[[Incoming], None]
G = TypeVar("G", bound=Gate)

_commands: dict[str, Handler] = {}
_descriptions: dict[str, Promise] = {}
_callbacks: dict[str, Handler] = {}
_audiences: dict[str, Audience] = {}
_kinds: dict[str, list[Handler]] = defaultdict(list)
_language_sources: list[LanguageSource] = []
_gates: list[Gate] = []
_menus: list[Menus] = []


def command(name: str, *, description: Promise, only: Audience | None = None) -> Callable[[H], H]:
    """Register the decorated function for private messages that begin with "/name".

    For whom `only` says no to, it is a command that does not exist.
    """

    def register(handler: H) -> H:
        _add(_commands, name, handler)
        _descriptions[name] = description
        if only:
            _audiences[f"/{name}"] = only
        return handler

    return register


def callback(action: str, *, only: Audience | None = None) -> Callable[[H], H]:
    """Register the decorated function for presses of buttons whose data begins with "action:".

    For whom `only` says no to, the press does nothing.
    """

    def register(handler: H) -> H:
        _add(_callbacks, action, handler)
        if only:
            _audiences[f"{action}:"] = only
        return handler

    return register


def on(kind: str) -> Callable[[H], H]:
    """Register the decorated function for updates of this kind that are no command or press."""

    def register(handler: H) -> H:
        _kinds[kind].append(handler)
        return handler

    return register


def language_source(source: S) -> S:
    """Register the decorated function to say which language a person chose, if it knows."""
    _language_sources.append(source)
    return source


def gate(check: G) -> G:
    """Register the decorated function to raise a `DomainError` for whoever may do nothing here."""
    _gates.append(check)
    return check


def menus(chats: M) -> M:
    """Register the decorated function to name the chats with commands of their own."""
    _menus.append(chats)
    return chats


def special_chats() -> dict[int, str]:
    """Return the chats that have commands of their own, each with its language."""
    return {chat_id: language for chats in _menus for chat_id, language in chats().items()}


def commands(user_id: int | None = None) -> dict[str, str]:
    """Return what everybody, or this person, may command, described in the active language."""
    return {
        name: str(_descriptions[name])
        for name in sorted(_descriptions)
        if _is_there(f"/{name}", user_id)
    }


def reply(update: Incoming, text: str, buttons: Rows = (), *, at: datetime) -> None:
    """Answer in the update's chat, in HTML, after the commit."""
    outgoing.say(chat_id=update.chat_id, text=text, buttons=buttons, at=at)


def dispatch(update: Incoming, *, at: datetime) -> None:
    """Have every handler of `update` do its part, within the caller's database transaction."""
    if update.is_private and update.status != "kicked":
        outgoing.release(chat_id=update.chat_id, at=at)
    with translation.override(_language(update)):
        for handler in _handlers(update):
            try:
                with transaction.atomic():
                    if update.is_request:
                        for check in _gates:
                            check(update)
                    handler(update, at=at)
            except DomainError as refusal:
                logger.info("update %s was refused: %s", update.update_id, refusal)
                if update.user is not None and update.is_private:
                    reply(update, html.escape(str(refusal), quote=False), at=at)


def _handlers(update: Incoming) -> list[Handler]:
    user_id = update.user.id if update.user else None
    if update.command in _commands and _is_there(f"/{update.command}", user_id):
        return [_commands[update.command]]
    if update.kind == "callback_query":
        action, _, _rest = update.callback_data.partition(":")
        handler = _callbacks.get(action)
        return [handler] if handler and _is_there(f"{action}:", user_id) else []
    return _kinds[update.kind]


def _is_there(what: str, user_id: int | None) -> bool:
    audience = _audiences.get(what)
    return audience is None or (user_id is not None and audience(user_id))


def _language(update: Incoming) -> str:
    if update.user is None:
        return settings.LANGUAGE_CODE
    for source in _language_sources:
        if language := source(update.user.id):
            return language
    return "ru" if update.user.language_code.startswith("ru") else "en"


def _add(registry: dict[str, Handler], name: str, handler: Handler) -> None:
    if name in registry:
        raise TypeError(f"{name} has a handler already")
    registry[name] = handler
