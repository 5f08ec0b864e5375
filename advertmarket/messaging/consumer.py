"""Which function of which consumer group handles which event, and how a record reaches it."""

from __future__ import annotations

import base64
import logging
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from enum import Enum, auto
from typing import Any, Protocol, TypeVar

from django.db import transaction
from django.utils import translation

from advertmarket import correlation
from advertmarket.errors import DomainError

from . import events
from .envelope import Envelope, Forged, Rejected, verify
from .events import Event
from .kafka import Record
from .models import DeadLetter, ProcessedEvent

logger = logging.getLogger(__name__)
security_logger = logging.getLogger("advertmarket.security")

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


_handlers: dict[str, dict[str, Handler[Any]]] = {}
_published_at: ContextVar[datetime | None] = ContextVar("published_at", default=None)


def consumes(event_class: type[E], *, group: str) -> Callable[[Handler[E]], Handler[E]]:
    """Register the decorated function as `group`'s handler of `event_class`.

    Raises:
        TypeError: the event is not registered, or the group handles it already.
    """
    if events.find(event_class.TYPE) is not event_class:
        raise TypeError(f"{event_class.__qualname__} is not registered with @event")

    def register(handler: Handler[E]) -> Handler[E]:
        handlers = _handlers.setdefault(group, {})
        if event_class.TYPE in handlers:
            raise TypeError(f"{group} handles {event_class.TYPE} already")
        handlers[event_class.TYPE] = handler
        return handler

    return register


def groups() -> list[str]:
    """Return every consumer group that has a handler."""
    return sorted(_handlers)


def groups_of(event_type: str) -> list[str]:
    """Return every consumer group that handles events of this type."""
    return [group for group, handlers in _handlers.items() if event_type in handlers]


def topics_of(group: str) -> set[str]:
    """Return the names of the topics whose events `group` handles."""
    classes = (events.find(event_type) for event_type in _handlers[group])
    return {cls.TOPIC.name for cls in classes if cls is not None}


def published_at() -> datetime | None:
    """Return when the event that is being handled was published: for measuring how late one is."""
    return _published_at.get()


class Outcome(Enum):
    """What became of a record."""

    HANDLED = auto()
    REPEATED = auto()
    SKIPPED = auto()
    DEAD_LETTER = auto()


def process(record: Record, *, group: str, at: datetime) -> Outcome:
    """Have `group` handle `record`, once, however often it is read.

    What cannot be read or verified, and what a `DomainError` refuses, becomes a dead letter. A
    type that is unknown here, or that the group does not handle, is skipped.

    Raises:
        Exception: anything else the handler or the database raised; nothing has changed, and the
            record wants another attempt.
    """
    envelope = None
    try:
        body = record.body or b""
        verify(body, record.headers, topic=record.topic)
        envelope = Envelope.from_body(body)
        handler = _handlers.get(group, {}).get(envelope.event_type)
        if handler is None or (event := envelope.event()) is None:
            return Outcome.SKIPPED
        with correlation.bind(envelope.correlation_id):
            return _handle(handler, event, envelope, group=group, at=at)
    except (Rejected, DomainError) as error:
        if isinstance(error, Forged):
            security_logger.critical(
                "%s was sent a forged record, %s at %s: %s",
                *(group, record.place, record.offset, error),
            )
        event_id = envelope.event_id if envelope else None
        set_aside(record, error, event_id=event_id, group=group, at=at)
        return Outcome.DEAD_LETTER


def _handle(
    handler: Handler[Any], event: Event, envelope: Envelope, *, group: str, at: datetime
) -> Outcome:
    published_at = _published_at.set(envelope.timestamp)
    try:
        with transaction.atomic():
            _, is_new = ProcessedEvent.objects.get_or_create(
                group=group, event_id=envelope.event_id, defaults={"processed_at": at}
            )
            if is_new:
                handler(event, at=at)
    finally:
        _published_at.reset(published_at)
    return Outcome.HANDLED if is_new else Outcome.REPEATED


def set_aside(
    record: Record, error: Exception, *, event_id: uuid.UUID | None, group: str, at: datetime
) -> None:
    """Keep `record` byte for byte in the dead letters; once, however often it is read or sent."""
    with translation.override(None):
        text = f"{type(error).__name__}: {error}"[:2000]
    text = text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
    place = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "written_at": record.written_at,
    }
    DeadLetter.objects.get_or_create(
        group=group,
        **({"event_id": event_id} if event_id else place),
        defaults={
            **place,
            "key": record.key,
            "body": record.body,
            "headers": [[name, _base64(value)] for name, value in record.headers],
            "error": text,
            "created_at": at,
        },
    )
    logger.error("%s: dead letter %s at %s: %s", group, record.place, record.offset, text)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
