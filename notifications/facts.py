"""What the words of a notice are filled with: read again by the ids of the event, and escaped."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import singledispatch
from uuid import UUID

from django.conf import settings

from accounts.events import PayoutAddressChanged
from advertmarket.messaging.events import Event
from advertmarket.money import format_ton
from advertmarket.telegram.links import app_link, deal_link
from channels.selectors import get_channel
from deals.events import DealEvent
from payments.events import SettlementConfirmed, SettlementStuck
from payments.selectors import payout_view


@dataclass(frozen=True)
class Facts:
    """Values for the placeholders, where "Open" leads, and which deal the choices are about."""

    values: dict[str, str]
    link: str
    deal: tuple[UUID, int] | None = None


@singledispatch
def facts_of(event: Event) -> Facts:
    """Return the facts of an event.

    Raises:
        TypeError: a notice was added for a kind of event that this does not know.
    """
    raise TypeError(f"no facts of {type(event).__qualname__}")


@facts_of.register
def _deal(event: DealEvent) -> Facts:
    channel = get_channel(event.channel_id)
    return Facts(
        {
            "channel": _escape(channel.title),
            "price": format_ton(event.price_nano),
        },
        link=deal_link(event.deal_id),
        deal=(event.deal_id, event.deal_version),
    )


@facts_of.register
def _paid(event: SettlementConfirmed) -> Facts:
    values = {"amount": format_ton(event.amount_nano), "tx_hash": _escape(event.tx_hash)}
    return Facts(values, link=deal_link(event.deal_id))


@facts_of.register
def _stuck(event: SettlementStuck) -> Facts:
    payout = payout_view(event.deal_id)
    amount_nano = payout.amount_nano if payout else 0
    return Facts({"amount": format_ton(amount_nano)}, link=app_link("profile"))


@facts_of.register
def _address(event: PayoutAddressChanged) -> Facts:
    values = {
        "address": _escape(event.address),
        "effective_at": f"{event.effective_at:%d.%m.%Y %H:%M} {settings.TIME_ZONE}",
    }
    return Facts(values, link=app_link("profile"))


def _escape(text: str) -> str:
    return html.escape(text, quote=False)
