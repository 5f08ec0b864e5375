"""Facts leave the database through here: written with what caused them, sent afterwards."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import datetime

from django.db import connection

from advertmarket import correlation
from advertmarket.db import requires_transaction
from advertmarket.wake import wake_after_commit

from . import events
from .events import Event
from .models import OutboxMessage
from .tasks import relay_outbox

_EVENT_IDS = uuid.UUID("5f0c7c0e-3c5b-4f4e-9a53-6d0b4f0f9a11")


_INSERT = """
    INSERT INTO notification_outbox (
        event_id, idempotency_key, topic, key, event_type, version, payload, payload_digest,
        correlation_id, created_at, status, attempts, error
    ) VALUES (
        %(event_id)s, %(idempotency_key)s, %(topic)s, %(key)s, %(event_type)s, %(version)s,
        %(payload)s, %(payload_digest)s, %(correlation_id)s, %(created_at)s, 'PENDING', 0, ''
    ) ON CONFLICT DO NOTHING RETURNING id
"""


class KeyReused(RuntimeError):
    """An idempotency key was used for two different facts: a bug of the caller."""


@requires_transaction
def publish(event: Event, *, key: str, at: datetime) -> None:
    """Commit `event` with the caller's database transaction; the relay carries it to Kafka.

    `key` is the idempotency key. It names the fact ("deal:<id>:accepted"), so publishing the fact
    again changes nothing, and its event id is the same even after the row was cleaned away.
    Events of one topic and deal keep the order of this call, if callers lock the deal's row (or
    their own row of it) before they publish.

    Raises:
        KeyReused: `key` stands for another type, deal or payload.
        TypeError: the event's class is not registered.
    """
    if events.find(event.TYPE) is not type(event):
        raise TypeError(f"{type(event).__qualname__} is not registered with @event")
    payload = event.model_dump(mode="json", exclude={"deal_id"})
    digest = _digest(event, payload)
    with connection.cursor() as cursor:  # one statement: this runs under the callers' locks
        cursor.execute(
            _INSERT,
            {
                "event_id": uuid.uuid5(_EVENT_IDS, key),
                "idempotency_key": key,
                "topic": event.TOPIC.name,
                "key": event.deal_id,
                "event_type": event.TYPE,
                "version": event.VERSION,
                "payload": json.dumps(payload),
                "payload_digest": digest,
                "correlation_id": correlation.current(),
                "created_at": at,
            },
        )
        is_new = cursor.fetchone() is not None
    if not is_new:
        stored = OutboxMessage.objects.get(idempotency_key=key)
        if bytes(stored.payload_digest) != digest:
            raise KeyReused(key)
    wake_after_commit(relay_outbox)


def _digest(event: Event, payload: dict[str, object]) -> bytes:
    fact = [event.TOPIC.name, event.TYPE, event.VERSION, str(event.deal_id), payload]
    return hashlib.sha256(json.dumps(fact, sort_keys=True).encode()).digest()
