"""Which function of which consumer group handles which event."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Protocol, TypeVar

from . import events
from .events import Event

E_contra = TypeVar("E_contra", bound=Event, contravariant=True)
E = TypeVar("E", bound=Event)


class Handler(Protocol[E_contra]):
    """Reacts to an event by calling one service; it writes rows and calls no network.

    It runs inside the database transaction that also records the event as processed. It trusts the
    event's ids only, and reads the row again. A `DomainError` sends the record to the dead letters;
    any other error has it tried again.
    """

    def __call__(self, event: E_contra, /, *, at: datetime) -> None:
        """Apply `event`; `at` is now."""


_handlers: dict[str, dict[str, Handler[Any]]] = defaultdict(dict)


def consumes(event_class: type[E], *, group: str) -> Callable[[Handler[E]], Handler[E]]:
    """Register the decorated function as `group`'s handler of `event_class`.

    Raises:
        TypeError: the event is not registered, or the group handles it already.
    """
    if events.find(event_class.TYPE) is not event_class:
        raise TypeError(f"{event_class.__qualname__} is not registered with @event")

    def register(handler: Handler[E]) -> Handler[E]:
        if event_class.TYPE in _handlers[group]:
            raise TypeError(f"{group} handles {event_class.TYPE} already")
        _handlers[group][event_class.TYPE] = handler
        return handler

    return register


def groups() -> list[str]:
    """Return every consumer group that has a handler."""
    return sorted(_handlers)


def handled(group: str) -> Collection[type[Event]]:
    """Return the event classes that `group` handles."""
    classes = (events.find(event_type) for event_type in _handlers[group])
    return [cls for cls in classes if cls is not None]


def handler_of(group: str, event_type: str) -> Handler[Any] | None:
    """Return the group's handler of an event type; None if it does not care."""
    return _handlers[group].get(event_type)
