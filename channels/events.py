"""The facts that channels publish, on deal.events: who listens there hears them in order."""

from __future__ import annotations

import uuid
from typing import ClassVar

from advertmarket.messaging.events import Event, event
from advertmarket.messaging.topics import DEAL_EVENTS, Topic

_CHANNELS = uuid.UUID("6a0d4f0e-5b1c-4b6e-9f5a-0c8a7d2e4b35")


def channel_key(channel_id: int) -> uuid.UUID:
    """Return the key that orders a channel's own events, in the place of a deal's id."""
    return uuid.uuid5(_CHANNELS, str(channel_id))


@event
class ChannelRegistered(Event):
    """`owner_id` registered a channel; `creator_id` is its creator, if Telegram names one."""

    TYPE: ClassVar[str] = "CHANNEL_REGISTERED"
    TOPIC: ClassVar[Topic] = DEAL_EVENTS

    channel_id: int
    owner_id: int
    creator_id: int | None
