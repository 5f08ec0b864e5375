"""Telling people about facts."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils import translation
from django.utils.translation import gettext as _

from accounts.selectors import get_user, operators_in_telegram
from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.messaging.events import Event
from advertmarket.telegram.callbacks import pack
from advertmarket.telegram.content import Button, Rows
from advertmarket.telegram.outgoing import say
from deals.events import DealEvent

from .catalogue import NOTICES, Notice
from .facts import Facts, facts_of
from .models import Delivery


@dataclass(frozen=True)
class _Reader:
    """A chat, the language that is read there, and whether the bot may write to it."""

    chat_id: int
    language: str
    is_reachable: bool = True


_EVENTS = uuid.UUID("d5d9b4b1-9f0e-4a55-8c58-6a0f2f5d8a3c")


@requires_transaction
def tell(*, event: Event, at: datetime, published_at: datetime | None = None) -> None:
    """Write every notice of `event`, once however often it comes; who did it is told nothing.

    How late a notice arrives is measured from `published_at`.

    Raises:
        DomainError: someone or something that the event names does not exist.
    """
    notices = [n for n in NOTICES if isinstance(event, n.event) and n.when(event)]
    for notice in notices:
        for reader in _readers(notice, event):
            _deliver(notice, event, reader, published_at or at, at)


def event_id(event: Event) -> uuid.UUID:
    """Return the same id for the same fact, whichever record brought it."""
    return uuid.uuid5(_EVENTS, f"{event.TYPE} {event.model_dump_json()}")


def _readers(notice: Notice, event: Event) -> Iterator[_Reader]:
    if notice.to is None:
        for chat_id, language in operators_in_telegram():
            yield _Reader(chat_id, language)
        return
    user_id = notice.to(event)
    if user_id is not None and not _did_it(user_id, event):
        user = get_user(user_id)
        yield _Reader(user.id, user.language, user.is_reachable)


def _deliver(
    notice: Notice, event: Event, reader: _Reader, wanted_at: datetime, at: datetime
) -> None:
    key = {"event_id": event_id(event), "template": notice.template, "chat_id": reader.chat_id}
    if Delivery.objects.filter(**key).exists():
        return
    with translation.override(reader.language):
        facts = facts_of(event)
        message_id = say(
            chat_id=reader.chat_id,
            text=str(notice.text).format_map(facts.values),
            buttons=_buttons(notice, facts),
            about_money=notice.about_money,
            is_reachable=reader.is_reachable,
            wanted_at=wanted_at,
            at=at,
        )
    Delivery.objects.create(**key, deal_id=event.deal_id, message_id=message_id, created_at=at)


def _buttons(notice: Notice, facts: Facts) -> Rows:
    rows: list[tuple[Button, ...]] = []
    if notice.choices and facts.deal and facts.shows_all:
        rows.append(
            tuple(
                Button(str(c.label), callback_data=pack(c.action, *facts.deal))
                for c in notice.choices
            )
        )
    link = facts.link if notice.to else facts.admin_link
    return (*rows, (Button(_("Open"), url=link),))


def _did_it(user_id: int, event: Event) -> bool:
    return isinstance(event, DealEvent) and event.actor == str(Actor.user(user_id))
