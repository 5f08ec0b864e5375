"""A deal of Anna's in Oleg's channel, moved through services; its events told as Kafka would."""

from __future__ import annotations

import itertools
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import services as accounts
from advertmarket.actors import Actor
from advertmarket.messaging.consumer import Outcome, process
from advertmarket.messaging.envelope import Envelope, sign
from advertmarket.messaging.kafka import Record
from advertmarket.messaging.models import OutboxMessage
from advertmarket.money import NANO_PER_TON
from advertmarket.telegram.models import OutgoingMessage
from channels import services as channels
from channels.ownership import OwnershipProof
from deals import services as deals
from notifications.consumers import GROUP

ANNA, OLEG, CHANNEL = 2001, 2002, -1002000000001
ADVERTISER, OWNER = Actor.user(ANNA), Actor.user(OLEG)
PRICE_NANO = 100 * NANO_PER_TON
_offsets = itertools.count()


def proof(at: datetime) -> OwnershipProof:
    return OwnershipProof(
        channel_id=CHANNEL,
        user_id=OLEG,
        title="News & <views>",
        username="the_news",
        description="",
        subscribers=7,
        creator_id=OLEG,
        proved_at=at,
    )


@transaction.atomic
def begin() -> UUID:
    """Both come to the bot, Oleg registers the channel, Anna sends an offer."""
    at = timezone.now()
    for user_id, name, language in ((ANNA, "Anna", "en"), (OLEG, "Oleg", "ru")):
        accounts.get_or_create_user(
            user_id=user_id, first_name=name, username="", language_code=language, at=at
        )
    channels.register_channel(proof=proof(at), topic="news", language="ru", actor=OWNER, at=at)
    deal_id = deals.create_deal(
        channel_id=CHANNEL,
        format="STANDARD",
        price_nano=PRICE_NANO,
        brief=deals.BriefText(text="Say <b>hello</b> & wave"),
        actor=ADVERTISER,
        at=at,
    )
    deals.submit_offer(deal_id=deal_id, actor=ADVERTISER, at=at)
    return deal_id


def tell_all(*event_types: str) -> list[Outcome]:
    """Give notifications every event that was published, from the first on, or these kinds."""
    rows = OutboxMessage.objects.order_by("id")
    if event_types:
        rows = rows.filter(event_type__in=event_types)
    return [process(_record(row), group=GROUP, at=timezone.now()) for row in rows]


def heard(user_id: int) -> list[OutgoingMessage]:
    """What the bot has to say to someone, in order."""
    return list(OutgoingMessage.objects.filter(chat_id=user_id).order_by("id"))


def _record(row: OutboxMessage) -> Record:
    body = Envelope(
        event_id=row.event_id,
        event_type=row.event_type,
        deal_id=row.key,
        timestamp=row.created_at,
        version=row.version,
        correlation_id=row.correlation_id,
        payload=row.payload,
    ).to_body()
    return Record(
        topic=row.topic,
        partition=0,
        offset=next(_offsets),
        key=str(row.key).encode(),
        body=body,
        headers=sign(body, topic=row.topic, sender="test", at=row.created_at),
        written_at=row.created_at,
    )
