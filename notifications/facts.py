"""What the words of a notice are filled with: read again by the ids of the event, and escaped."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.events import PayoutAddressChanged
from accounts.selectors import get_user
from advertmarket.actors import Actor
from advertmarket.messaging.events import Event
from advertmarket.money import format_ton
from advertmarket.telegram.links import admin_link, app_link, deal_link
from channels.events import ChannelRegistered
from channels.selectors import get_channel
from deals.disputes.selectors import get_dispute
from deals.events import (
    CreativeSubmitted,
    DealCancelled,
    DealEvent,
    DealExpired,
    DisputeOpened,
    DisputeResolved,
    RevisionRequested,
)
from deals.selectors import current_creative, get_deal
from payments.events import (
    DepositLate,
    DepositNeedsReview,
    DepositOverpaid,
    DepositPartial,
    PayoutUnclaimed,
    RefundAddressChanged,
    SettlementConfirmed,
    SettlementStuck,
)
from payments.selectors import given_back_nano, settlement_view

EXCERPT = 1_500
DRAFT_EXCERPT = 3_500
"""Characters of what somebody wrote, and of an ad with its links: a message holds 4,096."""

_KINDS = {
    "PHOTO": gettext_lazy("photo"),
    "VIDEO": gettext_lazy("video"),
    "GIF": gettext_lazy("GIF"),
    "DOCUMENT": gettext_lazy("document"),
}
_READER = Actor.system("notifications")


@dataclass(frozen=True)
class Facts:
    """Values for the placeholders, where "Open" leads, and what the choices are about.

    `deal` is None if the deal has moved on: the event comes late, there is nothing to choose. Not
    `shows_all`: the notice does not show what is to be decided, so there is no choice under it.
    `admin_link` is where "Open" leads operators.
    """

    values: dict[str, str]
    link: str
    deal: tuple[UUID, int] | None = None
    shows_all: bool = True
    admin_link: str = ""


@singledispatch
def facts_of(event: Event) -> Facts:
    """Return the facts of an event, in the active language.

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
    whole = "\n".join(_shown(creative.parts, creative.media))
    if creative.media or len(whole) > DRAFT_EXCERPT:
        shown = "\n".join(_shown(creative.parts, creative.media, at_most=EXCERPT))
        excerpt = _escape(_cut(shown, DRAFT_EXCERPT))
        note = _("This message does not show all of it: open the deal to see and approve the ad.")
        return replace(_deal(event, creative=f"{excerpt}\n\n{note}"), shows_all=False)
    return _deal(event, creative=_escape(whole))


@facts_of.register
def _revision(event: RevisionRequested) -> Facts:
    creative = current_creative(event.deal_id, actor=_READER)
    return _deal(event, note=_escape(_cut(creative.revision_note, EXCERPT)))


@facts_of.register
def _opened(event: DisputeOpened) -> Facts:
    dispute = get_dispute(event.deal_id, actor=_READER)
    return _deal(event, dispute_reason=dispute.reason_label)


@facts_of.register
def _resolved(event: DisputeResolved) -> Facts:
    dispute = get_dispute(event.deal_id, actor=_READER)
    reason = _escape(_cut(dispute.decision_reason, EXCERPT))
    return _deal(event, decision=dispute.decision_label, decision_reason=reason)


@facts_of.register
def _ended(event: DealCancelled | DealExpired) -> Facts:
    return _deal(event, refund=format_ton(given_back_nano(event.deal_id)))


@facts_of.register
def _channel(event: ChannelRegistered) -> Facts:
    channel, registrar = get_channel(event.channel_id), get_user(event.owner_id)
    name = f"{registrar.first_name} @{registrar.username}".removesuffix(" @")
    values = {"channel": _escape(channel.title), "registrar": _escape(name)}
    return Facts(values, app_link(f"channel_{event.channel_id}"))


@facts_of.register
def _paid(event: SettlementConfirmed) -> Facts:
    values = {"amount": format_ton(event.amount_nano), "tx_hash": _escape(event.tx_hash)}
    return Facts(values, deal_link(event.deal_id))


@facts_of.register
def _partial(event: DepositPartial) -> Facts:
    return _deposit(
        event.deal_id,
        received=format_ton(event.received_nano),
        missing=format_ton(event.missing_nano),
    )


@facts_of.register
def _overpaid(event: DepositOverpaid) -> Facts:
    return _deposit(event.deal_id, excess=format_ton(event.excess_nano))


@facts_of.register
def _late(event: DepositLate) -> Facts:
    return _deposit(event.deal_id, amount=format_ton(event.amount_nano))


@facts_of.register
def _in_review(event: DepositNeedsReview) -> Facts:
    facts = _deposit(event.deal_id, amount=format_ton(event.amount_nano))
    return replace(facts, admin_link=admin_link("payments_deposit", event.deposit_id))


def _deposit(deal_id: UUID, **more: str) -> Facts:
    deal = get_deal(deal_id, actor=_READER)
    return Facts({"channel": _escape(deal.channel_title), **more}, deal_link(deal_id))


@facts_of.register
def _unclaimed(event: PayoutUnclaimed) -> Facts:
    return Facts({"amount": format_ton(event.amount_nano)}, app_link("profile"))


@facts_of.register
def _stuck(event: SettlementStuck) -> Facts:
    values = {
        "kind": event.kind,
        "amount": format_ton(settlement_view(event.settlement_id).amount_nano),
        "reason": _escape(event.reason),
    }
    link = admin_link("payments_settlement", event.settlement_id)
    return Facts(values, app_link("profile"), admin_link=link)


@facts_of.register
def _address(event: PayoutAddressChanged) -> Facts:
    return Facts(_new_address(event), app_link("profile"))


@facts_of.register
def _refund_address(event: RefundAddressChanged) -> Facts:
    return _deposit(event.deal_id, **_new_address(event))


def _new_address(event: PayoutAddressChanged | RefundAddressChanged) -> dict[str, str]:
    return {
        "address": _escape(event.address),
        "effective_at": f"{event.effective_at:%d.%m.%Y %H:%M} {settings.TIME_ZONE}",
    }


def _shown(
    parts: list[list[dict[str, Any]]], media: list[list[str]], at_most: int | None = None
) -> Iterator[str]:
    """Say what an ad holds, `at_most` characters of each text: no link stays hidden in words."""
    kinds = (str(_KINDS[kind]) for kind, _file_id in media)
    for message in (message for part in parts for message in part):
        yield from (f"📎 {next(kinds)}" for _medium in message["media"])
        if message["text"]:
            yield _cut(message["text"], at_most)
        yield from (f"🔗 {url}" for url in message["links"])
        yield from (f"[{label}] {url}" for label, url in message["buttons"])


def _cut(text: str, length: int | None) -> str:
    return text if length is None or len(text) <= length else f"{text[:length]}…"


def _escape(text: str) -> str:
    return html.escape(text, quote=False)
