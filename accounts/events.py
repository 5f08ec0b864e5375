"""What accounts tells the others."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from advertmarket.messaging.events import Event, event
from advertmarket.messaging.topics import DEAL_EVENTS, Topic

_USERS = uuid.UUID("0b1f6f0e-6a3c-4c0e-8d5a-3a8e3f6f7d21")


def user_key(user_id: int) -> uuid.UUID:
    """Return the key that orders a user's own events, in the place of a deal's id."""
    return uuid.uuid5(_USERS, str(user_id))


@event
class PayoutAddressChanged(Event):
    """A user gave a payout address; it is paid to from `effective_at`. The address is masked;
    one that is not `proved` was typed by hand."""

    TYPE: ClassVar[str] = "PAYOUT_ADDRESS_CHANGED"
    TOPIC: ClassVar[Topic] = DEAL_EVENTS

    user_id: int
    address: str
    proved: bool = False
    effective_at: datetime
