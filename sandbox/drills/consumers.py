"""7: records come faster than they are read; then some that nobody can apply."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, Producer

from .notices import new_offer
from .room import Room
from .script import Missing, until

TOPIC, GROUP = "deal.events", "cg-notifications"
Headers = list[tuple[str, str | bytes]] | None

POISON = 15
"""Enough for ten in a row in each group, whatever partition they come to."""

BEHIND = 12_000
LAG = 2_000


def drill(room: Room) -> None:
    """The groups read all that came; they stop after ten dead letters, and go on when restarted."""
    _behind(room)
    _poisoned(room)


def _behind(room: Room) -> None:
    eyes, script = room.eyes, room.script
    room.offered_deal()
    good = _a_good_record(room)
    script.cause(f"{BEHIND} records come to {TOPIC} at once, which were handled before")
    _send(room, [good] * BEHIND)
    began = time.monotonic()
    eyes.metric("kafka_consumer_lag", lambda value: value > LAG, group=GROUP)
    eyes.alert("ConsumerLag", {"group": GROUP})
    script.fix("it works, as kafka_consumer_records_total shows: nothing is done")
    eyes.metric("kafka_consumer_records_total", lambda value: value > LAG, group=GROUP)
    eyes.metric("kafka_consumer_lag", lambda value: value == 0, within_s=180, group=GROUP)
    script.proof(f"the last of them was read at most {time.monotonic() - began:.0f} s later")
    eyes.quiet("ConsumerLag")


def _poisoned(room: Room) -> None:
    eyes, script, market = room.eyes, room.script, room.market
    script.cause(f"somebody without our key writes {POISON} records to {TOPIC}")
    _send(room, [(b"\x00 not a record", None)] * POISON)
    eyes.metric("kafka_consumer_stopped", lambda value: value > 0)
    stopped = _stopped_groups(room)
    eyes.alert("ConsumerStopped", *({"group": group} for group in stopped))
    eyes.alert("DeadLetters", *({"group": group} for group in stopped))
    eyes.down("workers", "has stopped")
    eyes.incident("consumer_stopped", stopped[0], within_s=40)
    eyes.incident("dead_letters", stopped[0], within_s=60)
    eyes.status("dead letters", stopped[0])
    script.fix("the sender is found and stopped; the consumer is restarted")
    before = len(market.telegram.messages(market.oleg.user_id))
    room.stack.restart_role("consumer")
    room.offered_deal()
    notice = market.until(lambda: new_offer(room, before), "the offer's notice")
    script.proof(f"a notice arrives, from behind the dead letters: {notice}")
    eyes.well("workers")
    eyes.quiet("ConsumerStopped")


def _stopped_groups(room: Room) -> list[str]:
    def look() -> list[str] | None:
        samples = room.eyes.scrape().samples
        found = {
            sample.labels["group"]
            for sample in samples
            if sample.name == "kafka_consumer_stopped" and sample.value
        }
        poisoned = {
            sample.labels["group"]
            for sample in samples
            if sample.name == "kafka_consumer_records_total"
            and sample.labels["outcome"] == "dead_letter"
            and sample.value
        }
        return sorted(found) if found and found == poisoned else None

    return until(look, "no group has stopped", within_s=30)


def _a_good_record(room: Room) -> tuple[bytes, Headers]:
    """The oldest record, which one of our own wrote."""
    consumer = Consumer(
        {
            "bootstrap.servers": room.stack.env["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": "drill",
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6_000,
        }
    )
    try:
        consumer.subscribe([TOPIC])
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline:
            record = consumer.poll(1)
            if record is not None and record.error() is None and record.headers():
                return record.value() or b"", list(record.headers() or [])
    finally:
        consumer.close()
    raise Missing(f"{TOPIC} has no record")


def _send(room: Room, records: list[tuple[bytes, Headers]]) -> None:
    producer = Producer({"bootstrap.servers": room.stack.env["KAFKA_BOOTSTRAP_SERVERS"]})
    for number, (value, headers) in enumerate(records):
        producer.produce(TOPIC, value, headers=headers, partition=number % 3)
    if left := producer.flush(20):
        raise Missing(f"{left} records were not taken by Kafka")
