"""What others may ask of deals. `actor` sees only deals that they have a part in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.api.paging import KeysetPage, PageRequest
from advertmarket.errors import Code, DomainError
from channels import selectors as channels
from payments import selectors as payments
from payments.selectors import DepositInstructions, EscrowView, SettlementView

from . import permissions
from .lifecycle import ACTIVE
from .models import Brief, Creative, Deal, DealEvent, Side
from .permissions import DealNotFound


class NoDepositYet(DomainError):
    """The deal has no deposit address."""

    message = _("This deal has no deposit address yet.")


class RefundAddressRequired(DomainError):
    """The deposit address is shown once it is known where a refund would go."""

    code: ClassVar[Code] = Code.REFUND_ADDRESS_REQUIRED
    message = _("Say first where a refund would go; then the deposit address is shown.")


class NoCreativeYet(DomainError):
    """Nobody submitted an ad."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("No ad was submitted yet.")


@dataclass(frozen=True)
class DealView:
    """A deal as one of its people sees it; `actions` is what they may do now, amounts nanoTON."""

    id: UUID
    status: str
    version: int
    advertiser_id: int
    owner_id: int
    channel_id: int
    channel_title: str
    format: str
    price_nano: int
    commission_rate_bp: int
    created_at: datetime
    deadline_at: datetime | None
    publish_at: datetime | None
    published_at: datetime | None
    retention_ends_at: datetime | None
    hold_reason: str
    cancel_asked_by: str
    actions: tuple[str, ...]
    brief: Brief


@dataclass(frozen=True)
class TimelineEntry:
    """A line of a deal's history; `actor` is advertiser, owner, operator or system.

    `reason` is what one side wrote for the other; what the system notes is for operators.
    """

    version: int
    action: str
    from_status: str
    to_status: str
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class EscrowAndPayout:
    """Where a deal's money is."""

    escrow: EscrowView
    payout: SettlementView | None


@dataclass(frozen=True)
class People:
    """The two people of a deal, by Telegram id."""

    advertiser_id: int
    owner_id: int


def people_of(deal_id: UUID) -> People:
    """Return whose deal it is.

    Raises:
        DealNotFound: there is none.
    """
    ids = Deal.objects.filter(id=deal_id).values_list("advertiser_id", "owner_id").first()
    if ids is None:
        raise DealNotFound
    return People(*ids)


def get_deal(deal_id: UUID, *, actor: Actor) -> DealView:
    """Return a deal.

    Raises:
        DealNotFound: the actor has no part in it.
    """
    deal = _find(deal_id, actor)
    return _view(deal, actor, channels.titles_of([deal.channel_id]))


def list_deals(
    *,
    user_id: int,
    page: PageRequest,
    statuses: Iterable[str] = (),
    side: Side | None = None,
) -> KeysetPage[DealView]:
    """Return a person's deals, newest first."""
    rows = Deal.objects.select_related("brief").filter(permissions.visible_to(user_id))
    if statuses:
        rows = rows.filter(status__in=list(statuses))
    if side == Side.ADVERTISER:
        rows = rows.filter(advertiser_id=user_id)
    elif side == Side.OWNER:
        rows = rows.filter(channel_id__in=channels.channels_of(user_id=user_id))
    found = page.of(rows, order=("-created_at", "-id"))
    ids = {deal.channel_id for deal in found.items}
    titles, rights = channels.titles_of(ids), channels.rights_in(user_id=user_id, channel_ids=ids)
    return found.map(lambda deal: _view(deal, Actor.user(user_id), titles, rights))


def active_deals(*, user_id: int, at_most: int) -> Sequence[DealView]:
    """Return a person's deals that are not over, newest first."""
    return list_deals(user_id=user_id, page=PageRequest(limit=at_most), statuses=ACTIVE).items


def timeline(deal_id: UUID, *, actor: Actor, page: PageRequest) -> KeysetPage[TimelineEntry]:
    """Return a deal's history, oldest first.

    Raises:
        DealNotFound: the actor has no part in it.
    """
    deal = _find(deal_id, actor)
    rows = DealEvent.objects.filter(deal=deal)
    return page.of(rows, order=("version",)).map(lambda event: _entry(event, deal))


def deposit(deal_id: UUID, *, actor: Actor) -> DepositInstructions:
    """Return how the advertiser pays.

    Raises:
        DealNotFound, NotAllowed: the actor is not the deal's advertiser.
        NoDepositYet: there is no address.
        RefundAddressRequired: nobody knows where a refund would go.
    """
    deal = _find(deal_id, actor)
    permissions.check_advertiser(actor, deal)
    instructions = payments.deposit_instructions(deal.id)
    if instructions is None:
        raise NoDepositYet
    if not payments.refund_destination_given(deal.id):
        raise RefundAddressRequired
    return instructions


def escrow(deal_id: UUID, *, actor: Actor) -> EscrowAndPayout:
    """Return where the deal's money is.

    Raises:
        DealNotFound: the actor has no part in it.
        NoDepositYet: there is no escrow.
    """
    deal = _find(deal_id, actor)
    view = payments.escrow_view(deal.id)
    if view is None:
        raise NoDepositYet
    return EscrowAndPayout(view, payments.payout_view(deal.id))


def current_creative(deal_id: UUID, *, actor: Actor) -> Creative:
    """Return the latest version of the ad.

    Raises:
        DealNotFound: the actor has no part in the deal.
        NoCreativeYet: there is no version.
    """
    creative = Creative.objects.filter(deal=_find(deal_id, actor)).order_by("version").last()
    if creative is None:
        raise NoCreativeYet
    return creative


def creative_history(deal_id: UUID, *, actor: Actor, page: PageRequest) -> KeysetPage[Creative]:
    """Return every version of the ad, oldest first.

    Raises:
        DealNotFound: the actor has no part in the deal.
    """
    return page.of(Creative.objects.filter(deal=_find(deal_id, actor)), order=("version",))


def _find(deal_id: UUID, actor: Actor) -> Deal:
    deal = Deal.objects.select_related("brief").filter(id=deal_id).first()
    if deal is None:
        raise DealNotFound
    permissions.check_visible(actor, deal)
    return deal


def _view(
    deal: Deal, actor: Actor, titles: dict[int, str], rights: permissions.Rights | None = None
) -> DealView:
    return DealView(
        id=deal.id,
        status=deal.status,
        version=deal.version,
        advertiser_id=deal.advertiser_id,
        owner_id=deal.owner_id,
        channel_id=deal.channel_id,
        channel_title=titles[deal.channel_id],
        format=deal.format,
        price_nano=deal.price_nano,
        commission_rate_bp=deal.commission_rate_bp,
        created_at=deal.created_at,
        deadline_at=deal.deadline_at,
        publish_at=deal.publish_at,
        published_at=deal.published_at,
        retention_ends_at=deal.retention_ends_at,
        hold_reason=deal.hold_reason,
        cancel_asked_by=deal.cancel_asked_by,
        actions=permissions.actions_of(actor, deal, rights),
        brief=deal.brief,
    )


def _entry(event: DealEvent, deal: Deal) -> TimelineEntry:
    actor = permissions.kind_of(event.actor, deal)
    return TimelineEntry(
        version=event.version,
        action=event.action,
        from_status=event.from_status,
        to_status=event.to_status,
        actor=actor,
        reason=event.reason if actor in Side.values else "",
        at=event.at,
    )
