"""Notifications listen to every event of the catalogue, and command nobody."""

from __future__ import annotations

from datetime import datetime

from advertmarket.messaging.consumer import consumes, published_at
from advertmarket.messaging.events import Event

from . import services
from .catalogue import NOTICES

GROUP = "cg-notifications"


def tell(event: Event, *, at: datetime) -> None:
    """Write the notices of `event`."""
    services.tell(event=event, published_at=published_at(), at=at)


for _event_class in {notice.event for notice in NOTICES}:
    consumes(_event_class, group=GROUP)(tell)
