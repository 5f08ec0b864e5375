"""Reading and writing Kafka past the product, and running its workers in threads."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from django.conf import settings
from django.db import connection
from django.utils import timezone

from advertmarket.messaging.envelope import Envelope, sign
from advertmarket.messaging.kafka import Outgoing, Record, Sender, _record
from advertmarket.messaging.models import OutboxMessage
from advertmarket.messaging.runtime import GroupWorker
from sandbox.process import Child

_sender = Sender()


def records(topic: str, partitions: int = 3) -> list[Record]:
    """Return all that the topic holds now, partition after partition."""
    reader = Consumer(
        {
            "bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS,
            "group.id": uuid.uuid4().hex,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
        }
    )
    try:
        reader.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        found: list[Record] = []
        ends: set[int | None] = set()
        while len(ends) < partitions:
            message = reader.poll(10)
            assert message is not None, f"{topic} did not answer"
            if error := message.error():
                assert error == KafkaError._PARTITION_EOF, error
                ends.add(message.partition())
            else:
                found.append(_record(message))
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        reader.close()


def configure(topic: str, config: Mapping[str, str]) -> None:
    """Change a topic's configuration past `create_topics`."""
    admin = AdminClient({"bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS})
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    for name, value in config.items():
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource.add_incremental_config(entry)
    admin.incremental_alter_configs([resource])[resource].result(10)


def numbers(topic: str, deal_id: uuid.UUID) -> list[object]:
    """Return the `number` of each of the deal's records, in Kafka's order."""
    mine = [r for r in records(topic) if r.key == str(deal_id).encode()]
    return [Envelope.from_body(r.body or b"").payload["number"] for r in mine]


def send(topic: str, body: bytes, headers: list[tuple[str, bytes | None]], key: bytes) -> None:
    """Write a record as anybody could who reaches the broker."""
    report = _sender.send([Outgoing(topic, key, body, headers)], timeout_s=10)
    assert report.confirmed == {0}


def send_signed(topic: str, body: bytes, key: bytes) -> None:
    """Write a record with our signature."""
    send(topic, body, sign(body, topic=topic, sender="test", at=timezone.now()), key)


def effects() -> list[tuple[uuid.UUID, int]]:
    """Return what handlers have noted and committed, in order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT deal_id, number FROM test_effects ORDER BY id")
        return list(cursor.fetchall())


def threads() -> set[str]:
    """Return which threads have noted something."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT thread FROM test_effects")
        return {name for (name,) in cursor.fetchall()}


def statuses() -> list[str]:
    """Return the outbox rows' statuses, in order."""
    return list(OutboxMessage.objects.order_by("id").values_list("status", flat=True))


@contextmanager
def working(group: str) -> Iterator[GroupWorker]:
    """Run a group in a thread; it stops in good order at the end."""
    stop = threading.Event()
    worker = GroupWorker(group, stop)
    thread = threading.Thread(target=worker.run, name=uuid.uuid4().hex)
    thread.start()
    try:
        yield worker
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def spawn(*command: str, env: Mapping[str, str], log: Path) -> Child:
    """Start `child` with a command of manage.py."""
    program = [sys.executable, "-m", "tests.advertmarket.messaging.child", *command]
    return Child(command[0], program, env=env, log=log)
