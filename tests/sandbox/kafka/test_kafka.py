"""The real Kafka: produces, consumes, shares a topic among a group, keeps it over a crash."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from sandbox.kafka import Kafka, Unavailable, jars
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    try:
        server = Kafka(tmp_path_factory.mktemp("kafka"))
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def servers(kafka: Kafka) -> str:
    return kafka.env["KAFKA_BOOTSTRAP_SERVERS"]


@pytest.fixture
def topic(kafka: Kafka) -> str:
    """A new topic of two partitions."""
    name = f"probe-{uuid.uuid4()}"
    admin = AdminClient({"bootstrap.servers": servers(kafka)})
    admin.create_topics([NewTopic(name, num_partitions=2)])[name].result(30)
    return name


def produce(kafka: Kafka, topic: str, values: list[bytes]) -> None:
    """Send the values, alternating between the two partitions; all are acknowledged."""
    producer = Producer({"bootstrap.servers": servers(kafka), "enable.idempotence": True})
    for number, value in enumerate(values):
        producer.produce(topic, value, partition=number % 2)
    assert producer.flush(30) == 0


@contextmanager
def member(kafka: Kafka, topic: str, group: str) -> Iterator[Consumer]:
    """A member of a consumer group that has joined nothing yet."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers(kafka),
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6_000,
        }
    )
    consumer.subscribe([topic])
    try:
        yield consumer
    finally:
        consumer.close()


def read(consumer: Consumer, count: int) -> list[bytes]:
    """The values of the next `count` messages, sorted; the offsets are committed."""
    values: list[bytes] = []
    while len(values) < count:
        message = wait_until(lambda: consumer.poll(0.2), timeout_s=30, what="a message")
        assert message is not None
        assert message.error() is None
        values.append(message.value() or b"")
    consumer.commit(asynchronous=False)
    return sorted(values)


def owned(*members: Consumer) -> list[int]:
    """How many partitions each member has, after a poll that must find nothing."""
    assert [each.poll(0.05) for each in members] == [None] * len(members)
    return [len(each.assignment()) for each in members]


def test_what_is_produced_is_consumed_and_offsets_are_kept(kafka: Kafka, topic: str) -> None:
    produce(kafka, topic, [b"1", b"2", b"3"])
    with member(kafka, topic, "keeps-offsets") as consumer:
        assert read(consumer, 3) == [b"1", b"2", b"3"]
    produce(kafka, topic, [b"4"])
    with member(kafka, topic, "keeps-offsets") as consumer:
        assert read(consumer, 1) == [b"4"]


def test_a_group_shares_the_partitions_and_a_leaver_hands_his_over(
    kafka: Kafka, topic: str
) -> None:
    with member(kafka, topic, "shares") as stays:
        with member(kafka, topic, "shares") as leaves:
            wait_until(lambda: owned(stays, leaves) == [1, 1], 30, "one partition each")
        wait_until(lambda: owned(stays) == [2], 30, "both partitions with one member")
        produce(kafka, topic, [b"1", b"2"])
        assert read(stays, 2) == [b"1", b"2"]


def test_it_keeps_topics_and_offsets_over_a_crash(kafka: Kafka, topic: str) -> None:
    produce(kafka, topic, [b"1", b"2"])
    with member(kafka, topic, "crash") as consumer:
        assert read(consumer, 2) == [b"1", b"2"]
    kafka.kill()
    kafka.start()
    produce(kafka, topic, [b"3"])
    with member(kafka, topic, "crash") as consumer:
        assert read(consumer, 1) == [b"3"]
        assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30) == (0, 2)


def test_it_makes_no_topic_by_itself(kafka: Kafka) -> None:
    producer = Producer({"bootstrap.servers": servers(kafka)})
    for _ in range(2):
        found = producer.list_topics("no-such-topic", timeout=30).topics["no-such-topic"]
        assert found.error is not None
        assert found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_an_empty_kafka_home_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))
    with pytest.raises(Unavailable, match="KAFKA_HOME holds no Kafka"):
        jars()


def test_no_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="no java"):
        jars()
