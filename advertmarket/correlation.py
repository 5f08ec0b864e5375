"""The correlation id: one UUID that follows a request through logs, outbox and Kafka headers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

HEADER = "X-Correlation-Id"
"""The HTTP header that carries it in and out."""

_current: ContextVar[uuid.UUID | None] = ContextVar("correlation_id", default=None)


def current() -> uuid.UUID:
    """Return this context's correlation id; where nobody bound one, a new one that then stays."""
    correlation_id = _current.get()
    if correlation_id is None:
        correlation_id = uuid.uuid4()
        _current.set(correlation_id)
    return correlation_id


@contextmanager
def bind(correlation_id: uuid.UUID) -> Iterator[uuid.UUID]:
    """Make `correlation_id` the current one within the block."""
    token = _current.set(correlation_id)
    try:
        yield correlation_id
    finally:
        _current.reset(token)


def parse(text: str | None) -> uuid.UUID | None:
    """Return the UUID that `text` spells in its canonical form, or None."""
    try:
        correlation_id = uuid.UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None
    return correlation_id if str(correlation_id) == (text or "").lower() else None
