"""A topic, a group and tables of each test's own."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from django.conf import settings
from django.db import connection
from pytest_django import Settings

from advertmarket.messaging import consumer, kafka, relay
from advertmarket.messaging.topics import DAY_S, Topic
from sandbox.services import Services
from tests.advertmarket.messaging import app
from tests.database import Clone


@pytest.fixture(scope="session")
def session_timeout_s() -> int:
    """The shortest that the broker allows; the embedded one lets members join after half of it."""
    cluster = AdminClient({"bootstrap.servers": settings.KAFKA_BOOTSTRAP_SERVERS})
    embedded = cluster.list_topics(timeout=10).cluster_id == "tansu_cluster"
    return 2 if embedded else 6


@pytest.fixture(autouse=True)
def members_join_quickly(settings: Settings, session_timeout_s: int) -> None:
    """Have no test wait for a group longer than it must."""
    settings.KAFKA_SESSION_TIMEOUT_S = session_timeout_s


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    """A topic of one's own, to which `app.Noted` goes."""
    topic = Topic(f"test.{uuid.uuid4().hex[:12]}", partitions=3, retention_s=DAY_S)
    kafka.create_topics([topic])
    monkeypatch.setattr(app.Noted, "TOPIC", topic)
    return topic


@pytest.fixture(autouse=True)
def groups_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no group behind whose handling is waited for."""
    monkeypatch.setattr(consumer, "_handlers", dict(consumer._handlers))


@pytest.fixture
def group() -> str:
    """A consumer group of one's own, whose handler is `app.note`."""
    group = f"cg-test-{uuid.uuid4().hex[:12]}"
    app.join(group)
    return group


@pytest.fixture
def own_broker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """A broker that may be killed; the relay waits for it for 2 s only."""
    root = Path(tempfile.mkdtemp(prefix="advertmarket-broker-"))
    with Services(root, ephemeral=True, names={"kafka"}) as services:
        settings.KAFKA_BOOTSTRAP_SERVERS = services.env["KAFKA_BOOTSTRAP_SERVERS"]
        monkeypatch.setattr(relay, "_sender", kafka.Sender())
        monkeypatch.setattr(relay, "CONFIRM_TIMEOUT_S", 2.0)
        yield services
        services.kill("kafka")


@pytest.fixture
def database(committed_db: Clone) -> Clone:
    """A database with `app`'s tables."""
    with connection.cursor() as cursor:
        cursor.execute(app.TABLES)
    return committed_db


@pytest.fixture
def child_env(database: Clone, topic: Topic, group: str, session_timeout_s: int) -> dict[str, str]:
    """What a child process needs to do the same as this one."""
    return {
        **database.env,
        "PROCESS_ROLE": "consumer",
        "TON_WALLET_MNEMONIC": "",
        "TEST_TOPIC": topic.name,
        "TEST_GROUP": group,
        "KAFKA_SESSION_TIMEOUT_S": str(session_timeout_s),
    }
