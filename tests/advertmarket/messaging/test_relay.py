"""The outbox on its way to Kafka, and everything that can go wrong there."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from advertmarket.messaging import kafka, relay
from advertmarket.messaging.envelope import Envelope, verify
from advertmarket.messaging.models import OutboxMessage, ProcessedEvent
from advertmarket.messaging.tasks import delete_old_rows
from advertmarket.messaging.topics import DAY_S, Topic
from sandbox.services import Services
from tests.advertmarket.messaging.app import Noted, say
from tests.advertmarket.messaging.harness import configure, numbers, records, spawn, statuses
from tests.samples import Since
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")


@contextmanager
def another_session() -> Iterator[psycopg.Connection]:
    """A database session past Django; what it holds open ends with the block."""
    with psycopg.connect(**connection.get_connection_params()) as session:
        yield session
        session.rollback()


def relay_in_thread() -> None:
    try:
        relay.relay()
    finally:
        connection.close()


def others(query: str) -> list[tuple[object, ...]]:
    """Ask about the other sessions of this database."""
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def relay_has_delivered() -> bool:
    relay.relay()
    return set(statuses()) == {"DELIVERED"}


WAITS_FOR_A_ROW = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database()
    AND wait_event_type = 'Lock' AND query LIKE '%UPDATE notification_outbox%'
"""


def test_a_row_becomes_a_signed_record(topic: Topic) -> None:
    deal_id = uuid.uuid4()
    say(deal_id, 1)
    relay.relay()

    (record,) = records(topic.name)
    row = OutboxMessage.objects.get()
    assert row.status == "DELIVERED"
    assert row.delivered_at is not None
    assert record.key == str(deal_id).encode()
    verify(record.body or b"", record.headers, topic=topic.name)
    assert dict(record.headers)["correlation-id"] == str(row.correlation_id).encode()
    envelope = Envelope.from_body(record.body or b"")
    assert envelope.event() == Noted(deal_id=deal_id, number=1)
    assert (envelope.event_id, envelope.timestamp) == (row.event_id, row.created_at)
    assert (envelope.correlation_id, envelope.version) == (row.correlation_id, 1)


def test_each_deals_events_keep_their_order(topic: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "BATCH_SIZE", 7)
    deals = [uuid.uuid4() for _ in range(5)]
    for number in range(10):
        for deal_id in deals:
            say(deal_id, number)
    relay.relay()

    assert [numbers(topic.name, deal_id) for deal_id in deals] == [list(range(10))] * 5
    assert statuses() == ["DELIVERED"] * 50


@pytest.mark.thorough
def test_a_broker_that_is_away_is_waited_for(own_broker: Services, topic: Topic) -> None:
    deal_id = uuid.uuid4()
    own_broker.kill("kafka")
    say(deal_id, 1)
    say(deal_id, 2)
    relay.relay()

    assert statuses() == ["PENDING"] * 2
    assert set(OutboxMessage.objects.values_list("attempts", "error")) == {(0, "")}

    own_broker.restart("kafka")
    kafka.create_topics([topic])
    wait_until(relay_has_delivered, 20)
    assert numbers(topic.name, deal_id) == [1, 2]


@pytest.mark.thorough
def test_while_the_broker_is_waited_for_nothing_is_locked(
    own_broker: Services, topic: Topic
) -> None:
    say(uuid.uuid4(), 1)
    relay.relay()
    own_broker.kill("kafka")
    say(uuid.uuid4(), 2)
    thread = threading.Thread(target=relay_in_thread)
    thread.start()
    try:
        locks = "SELECT pid, locktype FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        mine = "datname = current_database() AND pid <> pg_backend_pid()"
        held = wait_until(lambda: others(f"{locks} WHERE {mine} AND locktype = 'advisory'"))
        ((pid, _),) = held
        wait_until(lambda: others(_STATE.format(pid)) == [("idle",)])
        assert others(f"{locks} WHERE {mine}") == held
        assert thread.is_alive()
    finally:
        thread.join()


_STATE = "SELECT state FROM pg_stat_activity WHERE pid = {} AND query LIKE 'SELECT%outbox%'"


@pytest.mark.thorough
def test_a_crash_between_confirmation_and_mark_sends_again(
    topic: Topic, child_env: dict[str, str], tmp_path: Path
) -> None:
    deal_id = uuid.uuid4()
    say(deal_id, 1)
    say(deal_id, 2)
    with another_session() as session:
        session.execute("SELECT 1 FROM notification_outbox FOR UPDATE")
        child = spawn("relay", env=child_env, log=tmp_path / "relay.log")
        ((backend,),) = wait_until(lambda: others(WAITS_FOR_A_ROW), 20, child.output())
        assert len(records(topic.name)) == 2
        child.kill()
        others(f"SELECT pg_terminate_backend({backend})")
        wait_until(lambda: not others(WAITS_FOR_A_ROW))
    assert statuses() == ["PENDING"] * 2

    relay.relay()

    assert statuses() == ["DELIVERED"] * 2
    assert numbers(topic.name, deal_id) == [1, 2, 1, 2]
    assert len({Envelope.from_body(r.body or b"").event_id for r in records(topic.name)}) == 2


def test_a_second_relay_stands_back(topic: Topic) -> None:
    say(uuid.uuid4(), 1)
    with another_session() as session, ThreadPoolExecutor(1) as pool:
        session.execute("SELECT 1 FROM notification_outbox FOR UPDATE")
        leader = pool.submit(relay_in_thread)
        wait_until(lambda: others(WAITS_FOR_A_ROW))

        relay.relay()

        assert not leader.done()
        assert len(records(topic.name)) == 1
        session.rollback()
        leader.result(10)
    assert statuses() == ["DELIVERED"]
    assert len(records(topic.name)) == 1


def test_a_relay_that_stood_back_loses_no_row(topic: Topic) -> None:
    deals = [uuid.uuid4() for _ in range(4)]

    def say_and_relay(deal_id: uuid.UUID) -> None:
        try:
            for number in range(25):
                say(deal_id, number)
                relay.relay()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(say_and_relay, deals))

    assert statuses() == ["DELIVERED"] * 100
    assert [numbers(topic.name, deal_id) for deal_id in deals] == [list(range(25))] * 4


def test_a_row_that_can_never_be_sent_fails_and_holds_its_lane_only(topic: Topic) -> None:
    held, free = uuid.uuid4(), uuid.uuid4()
    for number in (1, 2, 3):
        say(held, number)
        say(free, number)
    rows = OutboxMessage.objects.filter(key=held).order_by("id")
    middle = rows[1]
    middle.payload = {"number": 2, "wish": "x" * 1_000_000}
    middle.save()
    since = Since()
    relay.relay()
    relay.relay()

    assert [row.status for row in rows] == ["DELIVERED", "FAILED", "PENDING"]
    middle.refresh_from_db()
    assert (middle.attempts, middle.delivered_at) == (1, None)
    assert "900000 allowed" in middle.error
    assert [since("outbox_records_total", outcome=one) for one in ("delivered", "failed")] == [4, 1]
    assert numbers(topic.name, held) == [1]
    assert numbers(topic.name, free) == [1, 2, 3]

    # what the operator's requeueing will do
    OutboxMessage.objects.filter(pk=middle.pk).update(
        status="PENDING", error="", payload={"number": 2, "wish": "note"}
    )
    relay.relay()
    assert numbers(topic.name, held) == [1, 2, 3]


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Topic:
    """A topic that nobody has created, and a relay that waits long where it waits."""
    monkeypatch.setattr(relay, "_sender", kafka.Sender())
    monkeypatch.setattr(relay, "CONFIRM_TIMEOUT_S", 30.0)
    return Topic(f"test.absent.{uuid.uuid4().hex[:12]}", partitions=3, retention_s=DAY_S)


def say_to(topic: Topic, deal_id: uuid.UUID, number: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Noted, "TOPIC", topic)
        say(deal_id, number, key=f"{topic.name}:{deal_id}:{number}")


@pytest.mark.timeout(25)  # less than the relay would wait
def test_a_topic_that_does_not_exist_keeps_no_other_waiting(
    topic: Topic, absent: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH_SIZE", 2)
    deal_id = uuid.uuid4()
    for number in range(5):
        say_to(absent, deal_id, number)
    for number in range(5):
        say(deal_id, number)
    relay.relay()
    say(deal_id, 5)
    relay.relay()

    assert numbers(topic.name, deal_id) == [0, 1, 2, 3, 4, 5]
    waiting = OutboxMessage.objects.filter(topic=absent.name)
    assert set(waiting.values_list("status", "attempts", "error")) == {("PENDING", 0, "")}
    assert set(OutboxMessage.objects.filter(topic=topic.name).values_list("status")) == {
        ("DELIVERED",)
    }


@pytest.mark.timeout(25)
def test_what_waited_for_its_topic_is_sent_in_order_once_it_exists(
    topic: Topic, absent: Topic
) -> None:
    deal_id = uuid.uuid4()
    say_to(absent, deal_id, 1)
    say_to(absent, deal_id, 2)
    relay.relay()
    assert statuses() == ["PENDING"] * 2

    kafka.create_topics([absent])
    relay.relay()

    assert statuses() == ["DELIVERED"] * 2
    assert numbers(absent.name, deal_id) == [1, 2]


@pytest.mark.kafka
def test_a_record_that_the_broker_refuses_fails_alone(topic: Topic) -> None:
    configure(topic.name, {"max.message.bytes": "2000"})
    held, free = uuid.uuid4(), uuid.uuid4()
    for number in (1, 2, 3):
        say(held, number)
        say(free, number)
    rows = OutboxMessage.objects.filter(key=held).order_by("id")
    OutboxMessage.objects.filter(pk=rows[1].pk).update(payload={"number": 2, "wish": "x" * 3000})
    relay.relay()

    assert [row.status for row in rows] == ["DELIVERED", "FAILED", "PENDING"]
    assert numbers(topic.name, held) == [1]
    assert numbers(topic.name, free) == [1, 2, 3]


def test_old_rows_go_and_others_stay(topic: Topic) -> None:
    for number in range(3):
        say(uuid.uuid4(), number)
    relay.relay()
    say(uuid.uuid4(), 3)
    now = timezone.now()
    old, young, _, pending = OutboxMessage.objects.order_by("id")
    OutboxMessage.objects.filter(pk=old.pk).update(delivered_at=now - timedelta(days=7, minutes=1))
    OutboxMessage.objects.filter(pk=young.pk).update(delivered_at=now - timedelta(days=6))
    OutboxMessage.objects.filter(pk=pending.pk).update(created_at=now - timedelta(days=30))
    for days in (31, 29):
        ProcessedEvent.objects.create(
            group="cg", event_id=uuid.uuid4(), processed_at=now - timedelta(days=days)
        )
    delete_old_rows()

    assert [row.payload["number"] for row in OutboxMessage.objects.order_by("id")] == [1, 2, 3]
    (kept,) = ProcessedEvent.objects.all()
    assert kept.processed_at == now - timedelta(days=29)
