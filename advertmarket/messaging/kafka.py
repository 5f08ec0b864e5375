"""The only module that imports confluent_kafka."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
)
from django.conf import settings

from .topics import Topic

logger = logging.getLogger(__name__)

MAX_RECORD_BYTES = 1_000_000
REQUEST_TIMEOUT_S = 10.0

_NEVER = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
    }
)
"""Answers that sending the same record again would only repeat."""


def _client_config() -> dict[str, Any]:
    return {
        "bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS,
        "client.id": f"advertmarket-{settings.PROCESS_ROLE}",
        "reconnect.backoff.max.ms": 1000,
        "topic.metadata.refresh.interval.ms": 10_000,
        "allow.auto.create.topics": False,
    }


@dataclass(frozen=True)
class Outgoing:
    """A record to be sent."""

    topic: str
    key: bytes
    body: bytes
    headers: list[tuple[str, bytes | None]]


@dataclass
class Report:
    """What became of the records, by index; of those in neither, nothing is known."""

    confirmed: set[int] = field(default_factory=set)
    refused: dict[int, str] = field(default_factory=dict)


class Sender:
    """Sends records; each partition's keep their order, whatever fails.

    The producer is idempotent and without gaps: once a record is refused for good, none that was
    queued behind it goes out, and the producer is replaced.
    """

    def __init__(self) -> None:
        self._producer: Producer | None = None

    def send(self, records: Sequence[Outgoing], *, timeout_s: float) -> Report:
        """Send `records` and wait until all in-sync replicas have them, at most `timeout_s`.

        What is not confirmed by then is forgotten here; the broker may have it nevertheless.
        """
        report = Report()
        producer = self._producer = self._producer or _new_producer()
        try:
            for index, record in enumerate(records):
                producer.produce(
                    record.topic,
                    key=record.key,
                    value=record.body,
                    headers=record.headers,  # type: ignore[arg-type] # the stub forgets None
                    on_delivery=functools.partial(_note, report, index),
                )
        except (KafkaException, BufferError) as error:
            logger.warning("Kafka takes no more records: %s", error)
        if producer.flush(timeout_s) or len(report.confirmed) < len(records):
            self._producer = None
            producer.purge()
            producer.flush(1)
        return report


def _new_producer() -> Producer:
    return Producer(
        {
            **_client_config(),
            "acks": "all",
            "enable.idempotence": True,
            "enable.gapless.guarantee": True,
            "message.max.bytes": MAX_RECORD_BYTES,
            "linger.ms": 2,
        },
        logger=logger,
    )


def _note(report: Report, index: int, error: KafkaError | None, _message: Message) -> None:
    if error is None:
        report.confirmed.add(index)
    elif error.code() in _NEVER:
        report.refused[index] = error.str()


def create_topics(topics: Sequence[Topic]) -> list[str]:
    """Make the broker's topics agree with `topics`; return what was changed, a line each.

    Partitions are never taken away, and no topic is deleted.

    Raises:
        KafkaException: the broker is away or refuses.
    """
    admin = AdminClient(_client_config())
    present = admin.list_topics(timeout=REQUEST_TIMEOUT_S).topics
    changes: list[str] = []
    for topic in topics:
        found = present.get(topic.name)
        if found is None or found.error is not None:
            changes.append(_create(admin, topic))
            continue
        if (partitions := len(found.partitions)) < topic.partitions:
            _wait(admin.create_partitions([NewPartitions(topic.name, topic.partitions)]))
            changes.append(f"{topic.name}: {partitions} partitions became {topic.partitions}")
        changes += _configure(admin, topic)
    return changes


def _config_of(topic: Topic) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(topic.retention_s * 1000)}


def _create(admin: AdminClient, topic: Topic) -> str:
    config = _config_of(topic)
    _wait(admin.create_topics([NewTopic(topic.name, topic.partitions, -1, config=config)]))
    return f"{topic.name}: created with {topic.partitions} partitions, kept {topic.retention_s} s"


def _configure(admin: AdminClient, topic: Topic) -> list[str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic.name)
    (present,) = (f.result(REQUEST_TIMEOUT_S) for f in admin.describe_configs([resource]).values())
    wanted = {
        name: value
        for name, value in _config_of(topic).items()
        if name in present and present[name].value != value
    }
    for name, value in wanted.items():
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource.add_incremental_config(entry)
    if wanted:
        _wait(admin.incremental_alter_configs([resource]))
    return [
        f"{topic.name}: {name} {present[name].value} became {value}"
        for name, value in wanted.items()
    ]


def _wait(futures: dict[Any, Any]) -> None:
    for future in futures.values():
        future.result(REQUEST_TIMEOUT_S)
