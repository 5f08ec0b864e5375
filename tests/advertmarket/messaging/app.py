"""An event, and a handler that does what the event wishes: a stand-in for an app that consumes."""

from __future__ import annotations

import os
import threading
import uuid
from datetime import datetime
from typing import Literal

from django.db import connection, transaction
from django.utils import timezone

from advertmarket.errors import DomainError
from advertmarket.messaging import consumer
from advertmarket.messaging.events import Event, event
from advertmarket.messaging.outbox import publish
from advertmarket.messaging.topics import DAY_S, Topic

GATE = 4711
"""The advisory lock at which a handler with the wish "wait" waits."""

TABLES = """
    CREATE TABLE test_effects (id serial, thread text, deal_id uuid, number int);
    CREATE TABLE test_obstacles (number int);
"""


@event
class Noted(Event):
    """Something that a handler notes down, if nothing goes wrong."""

    TYPE = "TEST_NOTED"
    TOPIC = Topic(os.environ.get("TEST_TOPIC", "test.none"), partitions=3, retention_s=DAY_S)

    number: int
    wish: Literal["note", "refuse", "stumble", "wait"] = "note"


class Refusal(DomainError):
    """The handler's service says no."""

    message = "number {number} is refused"


def note(noted: Noted, *, at: datetime) -> None:
    """Write the effect first, then do as wished; "stumble" fails while an obstacle is there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO test_effects (thread, deal_id, number) VALUES (%s, %s, %s)",
            [threading.current_thread().name, noted.deal_id, noted.number],
        )
        if noted.wish == "refuse":
            raise Refusal(number=noted.number)
        if noted.wish == "wait":
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [GATE])
        if noted.wish == "stumble":
            cursor.execute("SELECT count(*) FROM test_obstacles WHERE number = %s", [noted.number])
            if cursor.fetchone()[0]:
                raise RuntimeError(f"stumbled over {noted.number}")


def join(group: str) -> None:
    """Make `note` the handler of a group."""
    consumer.consumes(Noted, group=group)(note)


def say(
    deal_id: uuid.UUID,
    number: int,
    wish: Literal["note", "refuse", "stumble", "wait"] = "note",
    key: str = "",
) -> None:
    """Publish `Noted` in a database transaction of its own."""
    with transaction.atomic():
        noted = Noted(deal_id=deal_id, number=number, wish=wish)
        publish(noted, key=key or f"{deal_id}:{number}", at=timezone.now())


if "TEST_GROUP" in os.environ:
    join(os.environ["TEST_GROUP"])
