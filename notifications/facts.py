"""What the words of a notice are filled with: read again by the ids of the event, and escaped."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import Any
from uuid import UUID

from django.conf import settings

from accounts.events import PayoutAddressChanged
from advertmarket.actors import Actor
from advertmarket.messaging.events import Event
from advertmarket.money import format_ton
from advertmarket.telegram.links import app_link, deal_link
from deals.events import CreativeSubmitted, DealEvent, RevisionRequested
from deals.selectors import current_creative, get_deal
from payments.events import SettlementConfirmed, SettlementStuck
from payments.selectors import payout_view

EXCERPT = 1_500
DRAFT_EXCERPT = 3_000
"""Characters of what somebody wrote, and of an ad with its links: a message holds 4,096."""

_READER = Actor.system("notifications")


@dataclass(frozen=True)
class Facts:
    """Values for the placeholders, where "Open" leads, and what the choices are about.

    `deal` is None if the deal has moved on: the event comes late, there is nothing to choose.
    """

    values: dict[str, str]
    link: str
    deal: tuple[UUID, int] | None = None


@singledispatch
def facts_of(event: Event) -> Facts:
    """Return the facts of an event.

    Raises:
        TypeError: a notice was added for a kind of event that this does not know.
        DomainError: what the event names does not exist.
    """
    raise TypeError(f"no facts of {type(event).__qualname__}")


@facts_of.register
def _deal(event: DealEvent, **more: str) -> Facts:
    deal = get_deal(event.deal_id, actor=_READER)
    values = {
        "channel": _escape(deal.channel_title),
        "price": format_ton(deal.price_nano),
        "brief": _escape(_cut(deal.brief.text, EXCERPT)),
        **more,
    }
    has_moved_on = deal.version != event.deal_version
    choices_on = None if has_moved_on else (event.deal_id, event.deal_version)
    return Facts(values, deal_link(event.deal_id), choices_on)


@facts_of.register
def _draft(event: CreativeSubmitted) -> Facts:
    creative = current_creative(event.deal_id, actor=_READER)
    shown = "\n".join(_shown(creative.parts))
    return _deal(event, creative=_escape(_cut(shown, DRAFT_EXCERPT)))


@facts_of.register
def _revision(event: RevisionRequested) -> Facts:
    creative = current_creative(event.deal_id, actor=_READER)
    return _deal(event, note=_escape(_cut(creative.revision_note, EXCERPT)))


@facts_of.register
def _paid(event: SettlementConfirmed) -> Facts:
    values = {"amount": format_ton(event.amount_nano), "tx_hash": _escape(event.tx_hash)}
    return Facts(values, deal_link(event.deal_id))


@facts_of.register
def _stuck(event: SettlementStuck) -> Facts:
    payout = payout_view(event.deal_id)
    assert payout is not None  # it is this settlement
    return Facts({"amount": format_ton(payout.amount_nano)}, app_link("profile"))


@facts_of.register
def _address(event: PayoutAddressChanged) -> Facts:
    values = {
        "address": _escape(event.address),
        "effective_at": f"{event.effective_at:%d.%m.%Y %H:%M} {settings.TIME_ZONE}",
    }
    return Facts(values, app_link("profile"))


def _shown(parts: list[list[dict[str, Any]]]) -> Iterator[str]:
    """Say what an ad holds: no link stays hidden behind words."""
    for message in (message for part in parts for message in part):
        if message["text"]:
            yield _cut(message["text"], EXCERPT)
        yield from (f"🔗 {url}" for url in message["links"])
        yield from (f"[{label}] {url}" for label, url in message["buttons"])


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _escape(text: str) -> str:
    return html.escape(text, quote=False)
