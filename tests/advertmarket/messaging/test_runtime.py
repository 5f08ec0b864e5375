"""Groups at work: order, retries, outages, handing over, stopping."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command
from django.db import connection
from prometheus_client import REGISTRY
from pytest_django import Settings

from advertmarket.messaging import heartbeat, kafka, relay, runtime
from advertmarket.messaging.models import DeadLetter, OutboxMessage, ProcessedEvent
from advertmarket.messaging.topics import DAY_S, Topic
from advertmarket.state import redis_state
from sandbox.process import unprivileged_account
from sandbox.services import Services
from sandbox.services.broker import Broker
from tests.advertmarket.messaging import app
from tests.advertmarket.messaging.app import say
from tests.advertmarket.messaging.harness import (
    effects,
    numbers,
    records,
    send,
    send_signed,
    spawn,
    threads,
    working,
)
from tests.waiting import wait_until

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.thorough]


def told(topic: Topic, deal_ids: list[uuid.UUID], count: int) -> None:
    """Have `count` events of each deal in Kafka."""
    for number in range(count):
        for deal_id in deal_ids:
            say(deal_id, number)
    relay.relay()


def deals_of_all_partitions(topic: Topic) -> dict[int, uuid.UUID]:
    """Return a deal for each partition, by sending until every partition has one."""
    found: dict[int, uuid.UUID] = {}
    while len(found) < topic.partitions:
        told(topic, [uuid.uuid4() for _ in range(4)], 1)
        found |= {r.partition: uuid.UUID((r.key or b"").decode()) for r in records(topic.name)}
    return found


def numbers_of(deal_id: uuid.UUID) -> list[int]:
    return [number for deal, number in effects() if deal == deal_id]


def obstacle(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO test_obstacles VALUES (%s)", [number])


def clear_obstacles() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM test_obstacles")


def committed(group: str, topic: Topic) -> int:
    """Return the sum of the group's committed offsets."""
    client = Consumer(
        {"bootstrap.servers": django_settings.KAFKA_BOOTSTRAP_SERVERS, "group.id": group}
    )
    try:
        partitions = [TopicPartition(topic.name, p) for p in range(topic.partitions)]
        return sum(max(0, each.offset) for each in client.committed(partitions, timeout=10))
    finally:
        client.close()


def members(group: str) -> int:
    admin = AdminClient({"bootstrap.servers": django_settings.KAFKA_BOOTSTRAP_SERVERS})
    description = admin.describe_consumer_groups([group])[group]
    return len(description.result(10).members)  # type: ignore[attr-defined] # a wrong stub


def metric(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


@contextmanager
def gate() -> Iterator[psycopg.Connection]:
    """Keep the handlers with the wish "wait" waiting until the block ends."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as session:
        session.execute("SELECT pg_advisory_lock(%s)", [app.GATE])
        yield session


def at_the_gate() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(AT_THE_GATE)
        return cursor.fetchone() is not None


AT_THE_GATE = f"""
    SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE d.datname = current_database() AND l.objid = {app.GATE} AND NOT l.granted
"""


def test_events_are_handled_in_order_and_not_again(topic: Topic, group: str) -> None:
    deals = [uuid.uuid4() for _ in range(5)]
    told(topic, deals, 6)
    with working(group):
        wait_until(lambda: len(effects()) == 30)
    assert [numbers_of(deal_id) for deal_id in deals] == [list(range(6))] * 5
    assert committed(group, topic) == 30

    told(topic, [uuid.uuid4()], 1)
    with working(group):
        wait_until(lambda: len(effects()) == 31)
    assert ProcessedEvent.objects.count() == 31
    assert metric("kafka_consumer_records_total", group=group, outcome="repeated") == 0
    assert not DeadLetter.objects.exists()


def test_an_event_sent_twice_has_one_effect(topic: Topic, group: str) -> None:
    deal_id = uuid.uuid4()
    told(topic, [deal_id], 1)
    OutboxMessage.objects.update(status="PENDING", delivered_at=None)
    relay.relay()
    say(deal_id, 1)
    relay.relay()
    assert numbers(topic.name, deal_id) == [0, 0, 1]

    with working(group):
        wait_until(lambda: len(effects()) == 2)

    assert effects() == [(deal_id, 0), (deal_id, 1)]
    assert metric("kafka_consumer_records_total", group=group, outcome="repeated") == 1


def test_poison_is_set_aside_and_the_rest_goes_on(topic: Topic, group: str) -> None:
    deal_id = uuid.uuid4()
    key = str(deal_id).encode()
    told(topic, [deal_id], 1)
    (genuine,) = records(topic.name)
    body = genuine.body or b""
    send(topic.name, b"\xff poison", [], key)
    send(topic.name, body.replace(b'"number":0', b'"number":9'), genuine.headers, key)
    send_signed(topic.name, b"{}", key)
    future = body.replace(b"TEST_NOTED", b"FROM_THE_FUTURE")
    send_signed(topic.name, future, key)
    say(deal_id, 1, "refuse")
    say(deal_id, 2)
    relay.relay()

    with working(group):
        wait_until(lambda: len(effects()) == 2)

    assert effects() == [(deal_id, 0), (deal_id, 2)]
    errors = [
        error.partition(":")[0]
        for error in DeadLetter.objects.order_by("id").values_list("error", flat=True)
    ]
    assert errors == ["Forged", "Forged", "Unreadable", "Refusal"]
    poison = DeadLetter.objects.order_by("id")[0]
    assert (bytes(poison.body or b""), poison.headers) == (b"\xff poison", [])
    assert committed(group, topic) == 7


def test_a_failing_record_holds_its_partition_only(topic: Topic, group: str) -> None:
    deals = deals_of_all_partitions(topic)
    stuck, *free = deals.values()
    obstacle(100)
    say(stuck, 100, "stumble")
    for deal_id in deals.values():
        for number in (101, 102):
            say(deal_id, number)
    relay.relay()

    with working(group) as worker:
        wait_until(lambda: all(numbers_of(deal_id)[-2:] == [101, 102] for deal_id in free))
        wait_until(lambda: numbers_of(stuck) == [0])
        partition = next(p for p, deal_id in deals.items() if deal_id == stuck)
        place = {"group": group, "topic": topic.name, "partition": str(partition)}
        worker._next_beat = 0
        wait_until(lambda: metric("kafka_consumer_stalled_seconds", **place))
        assert metric("kafka_consumer_lag", **place) == 3
        value = json.loads(redis_state().get(f"worker:{group}:{heartbeat.instance()}") or "")
        assert (value["status"], value["lag"]) == ("retrying", 3)
        assert numbers_of(stuck) == [0]
        clear_obstacles()
        wait_until(lambda: numbers_of(stuck) == [0, 100, 101, 102])
        worker._next_beat = 0
        wait_until(lambda: metric("kafka_consumer_lag", **place) == 0)

    assert not DeadLetter.objects.exists()
    assert redis_state().get(f"worker:{group}:{heartbeat.instance()}") is None


class Clock:
    """The runtime's clock, which can be put forward."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.mark.thorough
def test_a_record_that_fails_for_ten_minutes_pages_once(
    topic: Topic, group: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    monkeypatch.setattr(runtime, "time", clock)
    deal_id = uuid.uuid4()
    obstacle(0)
    say(deal_id, 0, "stumble")
    relay.relay()
    (record,) = records(topic.name)
    place = {"group": group, "topic": topic.name, "partition": str(record.partition)}

    def attempts() -> int:
        return sum(" failed: RuntimeError" in message for message in caplog.messages)

    def pages() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.levelno == logging.CRITICAL]

    def put_forward(seconds: float) -> None:
        """Have the next attempt come, and fail, at once."""
        before = attempts()
        clock.ahead_s += seconds
        wait_until(lambda: attempts() > before)

    with working(group):
        wait_until(lambda: attempts() == 1)
        put_forward(590)
        assert pages() == []
        put_forward(60)
        page = f"{group}: {record.place} stands still"
        assert wait_until(pages) == [page]
        wait_until(lambda: (metric("kafka_consumer_stalled_seconds", **place) or 0) > 600)
        put_forward(600)
        put_forward(60)
        assert pages() == [page]
        clear_obstacles()
        clock.ahead_s += 60
        wait_until(effects)
        wait_until(lambda: metric("kafka_consumer_stalled_seconds", **place) == 0)

    assert effects() == [(deal_id, 0)]
    assert not DeadLetter.objects.exists()


def test_ten_dead_letters_in_a_row_stop_the_group(topic: Topic, group: str) -> None:
    deal_id = uuid.uuid4()
    for number in range(21):
        say(deal_id, number, "note" if number in {9, 20} else "refuse")
    relay.relay()

    with working(group) as worker:
        wait_until(lambda: DeadLetter.objects.count() == 19)
        worker._next_beat = 0
        key = f"worker:{group}:{heartbeat.instance()}"
        value = wait_until(lambda: json.loads(redis_state().get(key) or "{}"))
        wait_until(lambda: "stopped" in (redis_state().get(key) or ""))
        assert value
        assert metric("kafka_consumer_stopped", group=group) == 1
        assert metric("kafka_consumer_records_total", group=group, outcome="dead_letter") == 19
        assert metric("kafka_consumer_record_duration_seconds_count", group=group) == 20
        beat_at = metric("kafka_consumer_heartbeat_timestamp_seconds", group=group)
        assert time.time() - (beat_at or 0) < 60

    assert effects() == [(deal_id, 9)]
    assert DeadLetter.objects.count() == 19
    assert committed(group, topic) == 20


def test_a_stopped_group_goes_on_after_a_restart(topic: Topic, group: str) -> None:
    deal_id = uuid.uuid4()
    for number in range(10):
        say(deal_id, number, "refuse")
    say(deal_id, 10)
    relay.relay()
    with working(group):
        wait_until(lambda: committed(group, topic) == 10)
    assert effects() == []

    with working(group):
        wait_until(effects)
    assert effects() == [(deal_id, 10)]


@pytest.mark.thorough
def test_partitions_are_handed_over_without_loss_or_repetition(topic: Topic, group: str) -> None:
    deals = list(deals_of_all_partitions(topic).values())
    rounds = itertools.count(1)

    def tell_and_wait() -> None:
        number = next(rounds)
        for deal_id in deals:
            say(deal_id, number)
        relay.relay()
        wait_until(lambda: all(number in numbers_of(deal_id) for deal_id in deals), 20)

    with working(group):
        tell_and_wait()
        assert len(threads()) == 1
        with working(group):
            while len(threads()) == 1:
                tell_and_wait()
        tell_and_wait()

    last = next(rounds) - 1
    assert [numbers_of(deal_id) for deal_id in deals] == [list(range(last + 1))] * len(deals)
    assert not DeadLetter.objects.exists()


def test_sigterm_finishes_what_is_in_hand_and_leaves(
    topic: Topic, group: str, child_env: dict[str, str], tmp_path: Path
) -> None:
    deal_id = uuid.uuid4()
    say(deal_id, 0, "wait")
    say(deal_id, 1)
    relay.relay()
    child = spawn("consume", group, env=child_env, log=tmp_path / "consume.log")
    with gate():
        wait_until(at_the_gate, 20, "a handler in hand")
        child.send_signal(signal.SIGTERM)
        child.wait_for_line("finishing the records in hand")
        assert effects() == []
    assert child.wait(20) == 0

    assert effects() == [(deal_id, 0)]
    assert committed(group, topic) == 1
    assert members(group) == 0
    lines = child.output()
    order = [
        "finishing the records in hand",
        "the record in hand is finished",
        "offsets committed",
        "left the group",
        "heartbeat withdrawn",
        "stopped",
    ]
    places = [lines.index(text) for text in order]
    assert places == sorted(places)


@pytest.mark.slow
def test_sigterm_ends_the_process_even_without_a_broker(
    child_env: dict[str, str], group: str, tmp_path: Path
) -> None:
    root = Path(tempfile.mkdtemp(prefix="advertmarket-broker-"))
    with Services(root, ephemeral=True, names={"kafka"}) as services:
        kafka_env = {**child_env, **services.env}
        child = spawn("consume", group, env=kafka_env, log=tmp_path / "consume.log")
        child.wait_for_line(f"{group}: reads")
        services.kill("kafka")
        child.send_signal(signal.SIGTERM)
        assert child.wait(30) in {0, 1}
    assert "finishing the records in hand" in child.output()


@pytest.mark.thorough
def test_a_killed_consumers_work_is_not_done_twice(
    topic: Topic, group: str, child_env: dict[str, str], tmp_path: Path
) -> None:
    deal_id = uuid.uuid4()
    say(deal_id, 0)
    say(deal_id, 1, "wait")
    relay.relay()
    child = spawn("consume", group, env=child_env, log=tmp_path / "consume.log")
    with gate():
        wait_until(at_the_gate, 20, "a handler in hand")
        child.kill()
        assert effects() == [(deal_id, 0)]
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_terminate_backend(pid) FROM ({AT_THE_GATE}) AS waiting")
        wait_until(lambda: not at_the_gate())

    with working(group):
        wait_until(lambda: len(effects()) == 2)
    assert effects() == [(deal_id, 0), (deal_id, 1)]


@pytest.mark.thorough
def test_a_database_that_restarts_makes_no_dead_letter(
    topic: Topic, group: str, child_env: dict[str, str], tmp_path: Path
) -> None:
    deal_id = uuid.uuid4()
    told(topic, [deal_id], 2)
    root = Path(tempfile.mkdtemp(prefix="advertmarket-postgres-"))
    with Services(root, ephemeral=False, names={"postgres"}) as services:
        env = {**child_env, **services.env}
        migrate = spawn("migrate", "messaging", "-v0", env=env, log=tmp_path / "migrate.log")
        assert migrate.wait(30) == 0, migrate.output()
        with own_database(services) as session:
            session.execute(app.TABLES)
        child = spawn("consume", group, env=env, log=tmp_path / "consume.log")
        with own_database(services) as session:
            session.execute("SELECT pg_advisory_lock(%s)", [app.GATE])
            say(deal_id, 2, "wait")
            say(deal_id, 3)
            relay.relay()
            wait_until(lambda: session.execute(AT_THE_GATE).fetchone(), 20, "a handler in hand")
            services.kill("postgres")
        services.restart("postgres")

        wait_until(lambda: noted(services) == [0, 1, 2, 3], 30)
        assert "attempt 1 failed: OperationalError" in child.output()
        with own_database(services) as session:
            assert session.execute("SELECT count(*) FROM dead_letters").fetchone() == (0,)
        child.stop()
        assert child.returncode == 0


def own_database(services: Services) -> psycopg.Connection:
    env = services.env
    return psycopg.connect(
        host=env["DB_HOST"],
        port=int(env["DB_PORT"]),
        dbname=env["DB_NAME"],
        user=env["DB_USER"],
        password=env["DB_PASSWORD"],
        autocommit=True,
    )


def noted(services: Services) -> list[int]:
    with own_database(services) as session:
        return [n for (n,) in session.execute("SELECT number FROM test_effects ORDER BY id")]


@pytest.mark.thorough
def test_a_broker_that_hangs_is_waited_for(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, group: str, request: pytest.FixtureRequest
) -> None:
    root = Path(tempfile.mkdtemp(prefix="advertmarket-broker-"))
    root.chmod(0o755)
    broker = Broker(root, ephemeral=True, account=unprivileged_account())
    broker.start()
    assert broker.child is not None
    settings.KAFKA_BOOTSTRAP_SERVERS = broker.env["KAFKA_BOOTSTRAP_SERVERS"]
    settings.KAFKA_SESSION_TIMEOUT_S = 2
    monkeypatch.setattr(relay, "_sender", kafka.Sender())
    topic: Topic = request.getfixturevalue("topic")
    deal_id = uuid.uuid4()
    with working(group):
        told(topic, [deal_id], 1)
        wait_until(lambda: numbers_of(deal_id) == [0])
        broker.child.send_signal(signal.SIGSTOP)
        say(deal_id, 1)
        with monkeypatch.context() as patch:
            patch.setattr(relay, "CONFIRM_TIMEOUT_S", 2.5)  # longer than the session
            relay.relay()
        broker.child.send_signal(signal.SIGCONT)
        relay.relay()
        wait_until(lambda: numbers_of(deal_id) == [0, 1], 20)
    broker.kill()
    shutil.rmtree(root)
    assert not DeadLetter.objects.exists()


@pytest.mark.thorough
def test_a_member_that_is_given_nothing_joins_anew(
    monkeypatch: pytest.MonkeyPatch, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic = Topic(f"test.{uuid.uuid4().hex[:12]}", partitions=3, retention_s=DAY_S)
    monkeypatch.setattr(app.Noted, "TOPIC", topic)
    monkeypatch.setattr(runtime, "IDLE_MAX_S", 1.0)
    deal_id = uuid.uuid4()
    with working(group):
        wait_until(lambda: caplog.text.count(f"{group}: reads") == 2, 20)
        monkeypatch.setattr(runtime, "IDLE_MAX_S", 60.0)
        kafka.create_topics([topic])
        told(topic, [deal_id], 1)
        wait_until(effects, 20)

    assert effects() == [(deal_id, 0)]
    assert caplog.text.count(f"{group}: reads") == 2


def test_unknown_groups_are_refused() -> None:
    with pytest.raises(CommandError, match="unknown: cg-nobody; there are: "):
        call_command("consume", "cg-nobody")
    with pytest.raises(CommandError, match="name a group"):
        call_command("consume")
