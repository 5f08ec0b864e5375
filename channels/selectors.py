"""What others may ask of channels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from advertmarket.api.paging import KeysetPage, PageRequest
from advertmarket.errors import Code, DomainError

from .models import Channel, Format, PricingRule

__all__ = [
    "ChannelNotFound",
    "ChannelView",
    "Format",
    "PricingView",
    "Right",
    "channels_of",
    "get_channel",
    "get_listed",
    "list_channels",
    "rights_in",
    "rights_of",
    "titles_of",
]


class Right(StrEnum):
    """What a person may do for a channel; its owner has every right."""

    PUBLISH = "publish"
    MODERATE = "moderate"
    VIEW_DEALS = "view_deals"
    MANAGE_LISTINGS = "manage_listings"


class ChannelNotFound(DomainError):
    """No channel with this id is registered."""

    code: ClassVar[Code] = Code.CHANNEL_NOT_FOUND
    message = _("There is no such channel here.")


@dataclass(frozen=True)
class PricingView:
    """What an ad of one format costs, in nanoTON."""

    id: int
    format: str
    price_nano: int


@dataclass(frozen=True)
class ChannelView:
    """A registered channel; what the last three fields mean, the model says."""

    id: int
    title: str
    username: str
    description: str
    topic: str
    language: str
    subscribers: int
    pricing: tuple[PricingView, ...]
    created_at: datetime
    owner_id: int
    proved_at: datetime
    last_message_id: int


def get_channel(channel_id: int) -> ChannelView:
    """Return a channel; also one that was removed, whose deals go on.

    Raises:
        ChannelNotFound: it was never registered.
    """
    channel = Channel.objects.prefetch_related("pricing_rules").filter(id=channel_id).first()
    if channel is None:
        raise ChannelNotFound
    return _view(channel)


def get_listed(channel_id: int) -> ChannelView:
    """Return a channel that takes new deals.

    Raises:
        ChannelNotFound: it is not registered, or was removed.
    """
    if not Channel.objects.filter(id=channel_id, removed_at=None).exists():
        raise ChannelNotFound
    return get_channel(channel_id)


def titles_of(channel_ids: Iterable[int]) -> dict[int, str]:
    """Return the titles of channels by id."""
    return dict(Channel.objects.filter(id__in=set(channel_ids)).values_list("id", "title"))


def list_channels(*, page: PageRequest) -> KeysetPage[ChannelView]:
    """Return channels, newest first."""
    rows = Channel.objects.prefetch_related("pricing_rules").filter(removed_at=None)
    return page.of(rows, order=("-created_at", "-id")).map(_view)


def rights_of(*, user_id: int, channel_id: int) -> frozenset[Right]:
    """Return what a person may do for a channel now; read anew for each request."""
    return rights_in(user_id=user_id, channel_ids=[channel_id])[channel_id]


def rights_in(*, user_id: int, channel_ids: Iterable[int]) -> dict[int, frozenset[Right]]:
    """Return what a person may do for each of these channels now."""
    ids = set(channel_ids)
    owned = set(Channel.objects.filter(id__in=ids, owner_id=user_id).values_list("id", flat=True))
    return {one: frozenset(Right) if one in owned else frozenset() for one in ids}


def channels_of(*, user_id: int) -> list[int]:
    """Return the channels whose deals a person may see."""
    return list(Channel.objects.filter(owner_id=user_id).values_list("id", flat=True))


def _view(channel: Channel) -> ChannelView:
    return ChannelView(
        id=channel.id,
        title=channel.title,
        username=channel.username,
        description=channel.description,
        topic=channel.topic,
        language=channel.language,
        subscribers=channel.subscribers,
        pricing=tuple(_pricing(rule) for rule in channel.pricing_rules.all() if rule.is_active),
        created_at=channel.created_at,
        owner_id=channel.owner_id,
        proved_at=channel.proved_at,
        last_message_id=channel.last_message_id,
    )


def _pricing(rule: PricingRule) -> PricingView:
    return PricingView(id=rule.pk, format=rule.format, price_nano=rule.price_nano)
