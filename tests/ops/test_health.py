"""Public health: what is away makes it DOWN within 2 s, and nothing makes it a 500."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from advertmarket.messaging import kafka
from ops import draining, health
from ops.health import Probes
from tests.database import Clone
from tests.waiting import wait_until

UP, DOWN = b'{"status":"UP"}', b'{"status":"DOWN"}'
HEALTH, READINESS = "/actuator/health", "/actuator/health/readiness"
LIVENESS, INFO = "/actuator/health/liveness", "/actuator/info"


@pytest.fixture(autouse=True)
def new_clients() -> Iterator[None]:
    """Kafka's client keeps its address."""
    kafka._asking_client.cache_clear()
    yield
    kafka._asking_client.cache_clear()


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]


def get(path: str) -> tuple[int, bytes]:
    answer = Client().get(path)
    return answer.status_code, answer.content


@pytest.mark.parametrize("path", [HEALTH, READINESS, LIVENESS])
def test_all_is_well(committed_db: Clone, path: str) -> None:
    assert get(path) == (200, UP)


def test_info_tells_the_build(settings: Settings) -> None:
    settings.BUILD = {"version": "1.2.3", "commit": "abc", "builtAt": "2026-01-01T00:00:00Z"}

    assert get(INFO) == (
        200,
        b'{"version": "1.2.3", "commit": "abc", "builtAt": "2026-01-01T00:00:00Z"}',
    )


@pytest.mark.parametrize("path", [HEALTH, READINESS])
def test_without_redis_it_is_down(committed_db: Clone, path: str, settings: Settings) -> None:
    settings.REDIS_STATE_URL = "redis://127.0.0.1:9/0"

    assert get(path) == (503, DOWN)


@pytest.mark.parametrize("path", [HEALTH, READINESS])
def test_without_kafka_it_is_down(committed_db: Clone, path: str, settings: Settings) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = "127.0.0.1:9"

    assert get(path) == (503, DOWN)


@pytest.mark.parametrize("path", [HEALTH, READINESS])
def test_without_the_database_it_is_down_and_the_process_lives(
    path: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "PORT", 9)

    assert get(path) == (503, DOWN)
    assert get(LIVENESS) == (200, UP)


def test_a_redis_that_hangs_costs_two_seconds(
    committed_db: Clone, settings: Settings, black_hole: int
) -> None:
    settings.REDIS_STATE_URL = f"redis://127.0.0.1:{black_hole}/0"
    started = time.monotonic()

    assert get(HEALTH) == (503, DOWN)
    assert time.monotonic() - started < 3


def test_a_missing_migration_makes_it_unready_but_not_unhealthy(committed_db: Clone) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'accounts'")

    assert get(READINESS) == (503, DOWN)
    assert get(HEALTH) == (200, UP)


def test_the_checks_need_no_connection_of_the_pool(committed_db: Clone) -> None:
    before = clients()

    health.check_database()

    wait_until(lambda: clients() <= before, what="the check's connection ends")


def clients() -> set[int]:
    """Who is connected to the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_draining_is_out_of_service_at_once_and_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "_flag", bytearray(1))
    draining.begin()

    out = (503, b'{"status":"OUT_OF_SERVICE"}')
    assert get(HEALTH) == get(READINESS) == out
    assert get(LIVENESS) == (200, UP)


def test_a_check_that_hangs_is_not_started_twice() -> None:
    starts: list[float] = []
    release = threading.Event()

    def hang() -> None:
        starts.append(time.monotonic())
        release.wait(30)

    probes = Probes({"hanging": hang, "fine": lambda: None})
    started = time.monotonic()

    first = probes.failures(("hanging", "fine"))
    second = probes.failures(("hanging", "fine"))
    release.set()

    assert list(first) == list(second) == ["hanging"]
    assert 3.9 < time.monotonic() - started < 6
    assert len(starts) == 1


def test_checks_run_beside_each_other() -> None:
    both = threading.Barrier(2)

    def meet() -> None:
        both.wait(2)

    assert Probes({"a": meet, "b": meet}).failures(("a", "b")) == {}


def test_a_check_that_raises_says_why() -> None:
    def fail() -> None:
        raise psycopg.OperationalError("gone")

    assert Probes({"a": fail}).failures(("a",)) == {"a": "OperationalError: gone"}
