"""The only module that imports confluent_kafka."""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
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
        # A group that joins while its topics are away is given nothing; the client joins again only
        # if it saw them away, by asking in between.
        "topic.metadata.refresh.interval.ms": 1000,
        "allow.auto.create.topics": False,
        "log_level": 3,  # errors
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


class BrokerAway(Exception):
    """No broker answered."""


class Sender:
    """Sends records; each partition's keep their order, whatever fails.

    The producer is idempotent and without gaps: once a record is refused for good, none that was
    queued behind it goes out, and the producer is replaced.
    """

    def __init__(self) -> None:
        self._producer: Producer | None = None
        self._present: set[str] = set()

    def absent(self, topics: Collection[str], *, timeout_s: float) -> set[str]:
        """Return those of `topics` that do not exist: a record for one would hold up the others.

        While nothing fails, the broker is asked once about a topic that it has.

        Raises:
            BrokerAway: it did not answer within `timeout_s`.
        """
        if not self._present.issuperset(topics):
            self._producer = self._producer or _new_producer()
            try:
                found = self._producer.list_topics(timeout=timeout_s).topics
            except KafkaException as error:
                raise BrokerAway(str(error)) from error
            self._present = {name for name, topic in found.items() if topic.error is None}
        return set(topics) - self._present

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
        _flush(producer, timeout_s)
        if len(report.confirmed) < len(records):
            self._producer = None
            self._present.clear()
            producer.purge()
            _flush(producer, 1)
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


def _flush(producer: Producer, timeout_s: float) -> None:
    """Wait for the delivery reports.

    The binding raises a fatal error out of the call that happens to serve it, and stumbles over
    its own exception (SystemError) in the reports behind; they come nevertheless.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            producer.flush(max(0.0, deadline - time.monotonic()))
        except (KafkaException, SystemError) as error:
            logger.warning("the producer is of no more use: %s", error)
        else:
            return


def _note(report: Report, index: int, error: KafkaError | None, _message: Message) -> None:
    if error is None:
        report.confirmed.add(index)
    elif error.code() in _NEVER:
        report.refused[index] = error.str()


Partition: TypeAlias = tuple[str, int]
"""A topic's name and the number of one of its partitions."""


@dataclass(frozen=True)
class Record:
    """A record that was read; `written_at` is the time that its writer or the broker gave it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    body: bytes | None
    headers: list[tuple[str, bytes | None]]
    written_at: datetime

    @property
    def place(self) -> Partition:
        """Where it was read."""
        return self.topic, self.partition


class Subscription:
    """A membership in a consumer group; for one thread.

    Nothing counts as read until `done`. Offsets of what is done are committed every second, when
    partitions are handed over, and by `commit`.
    """

    def __init__(
        self, group: str, topics: Collection[str], *, on_revoked: Callable[[list[Partition]], None]
    ) -> None:
        """Join `group`; `on_revoked` is told, from within `poll`, of partitions that others get."""
        session_ms = settings.KAFKA_SESSION_TIMEOUT_S * 1000
        self._consumer = Consumer(
            {
                **_client_config(),
                "group.id": group,
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": session_ms,
                "heartbeat.interval.ms": min(3000, session_ms // 6),
                "auto.offset.reset": "earliest",
                "enable.auto.offset.store": False,
                "enable.auto.commit": True,
                "auto.commit.interval.ms": 1000,
            },
            logger=logger,
        )

        def revoked(_consumer: Consumer, partitions: list[TopicPartition]) -> None:
            on_revoked([(each.topic, each.partition) for each in partitions])

        self._consumer.subscribe(sorted(topics), on_revoke=revoked)

    def poll(self, timeout_s: float) -> Record | None:
        """Return the next record of a partition that is not paused, or None.

        A broker that is away is waited for; None meanwhile.

        Raises:
            KafkaException: the membership is beyond repair; close it and make another.
        """
        message = self._consumer.poll(timeout_s)
        if message is None:
            return None
        if error := message.error():
            if error.fatal():
                raise KafkaException(error)
            logger.warning("Kafka: %s", error)
            return None
        return _record(message)

    def done(self, record: Record) -> None:
        """Count `record` and all before it in its partition as read."""
        position = TopicPartition(record.topic, record.partition, record.offset + 1)
        try:
            self._consumer.store_offsets(offsets=[position])
        except KafkaException as error:  # no longer ours: its new reader recognises what is done
            logger.info("%s-%s was handed over: %s", record.topic, record.partition, error)

    def pause(self, partition: Partition) -> None:
        """Read nothing more of `partition` for now."""
        self._consumer.pause([TopicPartition(*partition)])

    def resume(self, partition: Partition) -> None:
        """Read on behind the last record that was returned."""
        self._consumer.resume([TopicPartition(*partition)])

    def lags(self, waiting: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return how many records of each partition are not done, by the watermarks of fetches.

        `waiting` names the paused partitions and the offset at which each stands; nothing is
        fetched from these, so the broker is asked, for up to 1 s each. A partition of which
        nothing can be learnt is left out.
        """
        lags = {}
        for each in self._consumer.position(self._consumer.assignment()):
            partition = each.topic, each.partition
            with contextlib.suppress(KafkaException, TypeError):  # the broker does not answer
                lags[partition] = self._lag(each, waiting.get(partition))
        return lags

    def _lag(self, position: TopicPartition, waiting_at: int | None) -> int:
        ends = [self._consumer.get_watermark_offsets(position, cached=True)[1]]
        if waiting_at is not None:
            ends.append(self._consumer.get_watermark_offsets(position, timeout=1)[1])
        next_offset = position.offset if waiting_at is None else waiting_at
        return max(0, max(ends) - next_offset) if next_offset >= 0 else 0

    def is_idle(self) -> bool:
        """Return whether the group gives this member no partition to read."""
        return not self._consumer.assignment()

    def commit(self) -> None:
        """Commit the offsets of all that is done, and wait for it.

        Raises:
            KafkaException: the broker is away or the group has moved on.
        """
        try:
            self._consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0] != KafkaError._NO_OFFSET:
                raise

    def close(self) -> None:
        """Leave the group, so that others take over at once."""
        self._consumer.close()


def _record(message: Message) -> Record:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise ValueError("a record without a place")
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        key=_bytes(message.key()),
        body=_bytes(message.value()),
        headers=_headers(message),
        written_at=_written_at(message),
    )


def _headers(message: Message) -> list[tuple[str, bytes | None]]:
    try:
        return [(name, _bytes(value)) for name, value in message.headers() or []]
    except (UnicodeDecodeError, SystemError):  # a stranger's: names that are not UTF-8
        return []


def _written_at(message: Message) -> datetime:
    kind, timestamp_ms = message.timestamp()
    try:
        return datetime.fromtimestamp(
            0 if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms / 1000, tz=UTC
        )
    except (OverflowError, ValueError, OSError):  # a stranger's: no time that a calendar has
        return datetime.fromtimestamp(0, tz=UTC)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


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


@dataclass(frozen=True)
class Cluster:
    """How many brokers there are, and which topics."""

    brokers: int
    topics: frozenset[str]


def ping(*, timeout_s: float) -> Cluster:
    """Ask any broker for the cluster's metadata.

    Raises:
        KafkaException: none answered within `timeout_s`.
    """
    found = _asking_client().list_topics(timeout=timeout_s)
    topics = {name for name, topic in found.topics.items() if topic.error is None}
    return Cluster(len(found.brokers), frozenset(topics))


@functools.cache
def _asking_client() -> AdminClient:
    return AdminClient(_client_config())


def _config_of(topic: Topic) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(topic.retention_s * 1000)}


def _create(admin: AdminClient, topic: Topic) -> str:
    config = _config_of(topic)
    _wait(admin.create_topics([NewTopic(topic.name, topic.partitions, -1, config=config)]))
    return f"{topic.name}: created with {topic.partitions} partitions, kept {topic.retention_s} s"


def _configure(admin: AdminClient, topic: Topic) -> list[str]:
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic.name)
    present = admin.describe_configs([resource])[resource].result(REQUEST_TIMEOUT_S)
    changes = []
    for name, value in _config_of(topic).items():
        if name in present and (before := present[name].value) != value:
            entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            resource.add_incremental_config(entry)
            changes.append(f"{topic.name}: {name} {before} became {value}")
    if changes:
        _wait(admin.incremental_alter_configs([resource]))
    return changes


def _wait(futures: dict[Any, Any]) -> None:
    for future in futures.values():
        future.result(REQUEST_TIMEOUT_S)
