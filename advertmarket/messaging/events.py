"""Typed events. An app declares its own in its `events.py`; declaring one registers it.

@event
class DepositConfirmed(Event):
    TYPE = "DEPOSIT_CONFIRMED"
    TOPIC = topics.ESCROW_CONFIRMATIONS

    amount_nano: int
"""

from __future__ import annotations

import uuid
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict

from .topics import Topic


class Event(BaseModel):
    """A fact that others react to; `deal_id` is the key that keeps its order.

    Fields that a class does not know are ignored, so that an old consumer reads a newer
    producer's event. `VERSION` counts the fields' additions; a new meaning wants a new type.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[Topic]
    VERSION: ClassVar[int] = 1

    deal_id: uuid.UUID


E = TypeVar("E", bound=Event)

_registered: dict[str, type[Event]] = {}


def event(cls: type[E]) -> type[E]:
    """Register an event class under its `TYPE`.

    Raises:
        TypeError: `TYPE` or `TOPIC` is missing, or another class has this type.
    """
    missing = [name for name in ("TYPE", "TOPIC") if not hasattr(cls, name)]
    if missing:
        raise TypeError(f"{cls.__qualname__} lacks {', '.join(missing)}")
    if cls.TYPE in _registered:
        raise TypeError(f"{cls.__qualname__}: {cls.TYPE} is registered already")
    _registered[cls.TYPE] = cls
    return cls


def registered() -> list[type[Event]]:
    """Return every event class."""
    return list(_registered.values())


def find(event_type: str) -> type[Event] | None:
    """Return the class of a wire name; None for a type that this release does not know."""
    return _registered.get(event_type)
