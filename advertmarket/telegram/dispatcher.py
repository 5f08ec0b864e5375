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
Gate = Callable[[Incoming], None]
G = TypeVar("G", bound=Gate)

_commands: dict[str, Handler] = {}
_descriptions: dict[str, Promise] = {}
_callbacks: dict[str, Handler] = {}
_kinds: dict[str, list[Handler]] = defaultdict(list)
_language_sources: list[LanguageSource] = []
_gates: list[Gate] = []


def command(name: str, *, description: Promise) -> Callable[[H], H]:
    """Register the decorated function for private messages that begin with "/name"."""

    def register(handler: H) -> H:
        _add(_commands, name, handler)
        _descriptions[name] = description
        return handler

    return register


def callback(action: str) -> Callable[[H], H]:
    """Register the decorated function for presses of buttons whose data begins with "action:"."""

    def register(handler: H) -> H:
        _add(_callbacks, action, handler)
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


def commands() -> dict[str, str]:
    """Return every command with its description in the active language."""
    return {name: str(_descriptions[name]) for name in sorted(_descriptions)}


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
    if update.command in _commands:
        return [_commands[update.command]]
    if update.kind == "callback_query":
        action, _, _rest = update.callback_data.partition(":")
        handler = _callbacks.get(action)
        return [handler] if handler else []
    return _kinds[update.kind]


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
