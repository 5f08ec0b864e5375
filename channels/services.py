"""What may be done to channels. Every function wants the caller's database transaction."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import constraints, requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.messaging.outbox import publish

from .events import ChannelRegistered, channel_key
from .models import Channel, Format, PricingRule
from .ownership import OwnershipProof
from .selectors import ChannelNotFound, Right, rights_of


class AlreadyRegistered(DomainError):
    """The channel is registered, by this person or by another."""

    code: ClassVar[Code] = Code.CHANNEL_ALREADY_REGISTERED
    message = _("This channel is registered already.")


class NotAllowed(DomainError):
    """The person lacks the right for this channel."""

    code: ClassVar[Code] = Code.AUTH_INSUFFICIENT_PERMISSIONS
    message = _("You may not do this for the channel.")


@requires_transaction
def register_channel(
    *, proof: OwnershipProof, topic: str, language: str, actor: Actor, at: datetime
) -> int:
    """Register the channel for the person whom `proof` is about; return its id.

    Whoever removed it may register it again. An event lets the channel's creator be told.

    Raises:
        AlreadyRegistered: it is here, or was another's.
    """
    described = {
        "title": proof.title,
        "username": proof.username,
        "description": proof.description,
        "topic": topic,
        "language": language,
        "creator_id": proof.creator_id,
        "subscribers": proof.subscribers,
        "proved_at": proof.proved_at,
    }
    removed = Channel.objects.filter(
        id=proof.channel_id, owner_id=proof.user_id, removed_at__isnull=False
    )
    if not removed.update(**described, removed_at=None):
        with constraints({"channels_pkey": AlreadyRegistered()}):
            Channel.objects.create(
                id=proof.channel_id, owner_id=proof.user_id, created_at=at, **described
            )
    audit.record(
        actor=actor,
        action="channel.registered",
        object_type="channel",
        object_id=str(proof.channel_id),
        before=None,
        after={
            "title": proof.title,
            "owner_id": proof.user_id,
            "creator_id": proof.creator_id,
        },
        at=at,
    )
    registered = ChannelRegistered(
        deal_id=channel_key(proof.channel_id),
        channel_id=proof.channel_id,
        owner_id=proof.user_id,
        creator_id=proof.creator_id,
    )
    publish(registered, key=f"channel:{proof.channel_id}:registered:{at.isoformat()}", at=at)
    return proof.channel_id


@requires_transaction
def renew_proof(*, proof: OwnershipProof) -> None:
    """Take over what Telegram says of a registered channel now."""
    channel = _lock(proof.channel_id)
    if channel.owner_id != proof.user_id or channel.proved_at > proof.proved_at:
        return
    channel.title, channel.username = proof.title, proof.username
    channel.description, channel.subscribers = proof.description, proof.subscribers
    channel.proved_at, channel.creator_id = proof.proved_at, proof.creator_id
    channel.save(
        update_fields=[
            *("title", "username", "description", "subscribers", "proved_at", "creator_id")
        ]
    )


@requires_transaction
def note_message(*, channel_id: int, message_id: int) -> None:
    """Remember that a message with this id is in the channel; an unknown channel is no matter."""
    Channel.objects.filter(id=channel_id, last_message_id__lt=message_id).update(
        last_message_id=message_id
    )


@requires_transaction
def set_price(
    *,
    channel_id: int,
    format: str,  # noqa: A002 - the field's word
    price_nano: int,
    actor: Actor,
    at: datetime,
) -> None:
    """Ask `price_nano` for ads of a format from now on; the same price again changes nothing.

    Raises:
        ChannelNotFound: it is not registered.
        NotAllowed: the person does not manage the channel's listing.
    """
    channel = _lock_managed(channel_id, actor)
    active = PricingRule.objects.filter(channel=channel, format=format, is_active=True)
    if active.filter(price_nano=price_nano).exists():
        return
    active.update(is_active=False)
    PricingRule.objects.create(
        channel=channel, format=Format(format), price_nano=price_nano, created_at=at
    )


@requires_transaction
def withdraw_price(
    *,
    channel_id: int,
    format: str,  # noqa: A002 - the field's word
    actor: Actor,
    at: datetime,
) -> None:
    """Ask nothing for ads of a format any more: it is not offered. Done already, it is no matter.

    Raises:
        ChannelNotFound: it is not registered.
        NotAllowed: the person does not manage the channel's listing.
    """
    channel = _lock_managed(channel_id, actor)
    PricingRule.objects.filter(channel=channel, format=format, is_active=True).update(
        is_active=False
    )


@requires_transaction
def update_listing(
    *, channel_id: int, topic: str, language: str, actor: Actor, at: datetime
) -> None:
    """Say where the channel's listing belongs; the rest of it Telegram tells.

    Raises:
        ChannelNotFound: it is not registered.
        NotAllowed: the person does not manage the channel's listing.
    """
    channel = _lock_managed(channel_id, actor)
    channel.topic, channel.language = topic, language
    channel.save(update_fields=["topic", "language"])


@requires_transaction
def remove_channel(*, channel_id: int, actor: Actor, at: datetime) -> None:
    """Take the channel off the list: it gets no new deals, and those under way go on.

    Raises:
        ChannelNotFound: it is not registered.
        NotAllowed: the person is not its owner.
    """
    channel = _lock_managed(channel_id, actor)
    if channel.owner_id != int(actor.id):
        raise NotAllowed
    channel.removed_at = at
    channel.save(update_fields=["removed_at"])
    audit.record(
        actor=actor,
        action="channel.removed",
        object_type="channel",
        object_id=str(channel_id),
        before={"title": channel.title, "owner_id": channel.owner_id},
        after=None,
        at=at,
    )


def _lock_managed(channel_id: int, actor: Actor) -> Channel:
    """Lock a listed channel for someone who manages its listing."""
    channel = _lock(channel_id)
    if channel.removed_at is not None:
        raise ChannelNotFound
    if Right.MANAGE_LISTINGS not in rights_of(user_id=int(actor.id), channel_id=channel_id):
        raise NotAllowed
    return channel


def _lock(channel_id: int) -> Channel:
    channel = Channel.objects.select_for_update(no_key=True).filter(id=channel_id).first()
    if channel is None:
        raise ChannelNotFound
    return channel
