"""Every service in turn is dead, really dead, and the alarm arrives; a healthy day wakes nobody."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from advertmarket.messaging import consumer, heartbeat, kafka
from ops.incidents.watch import Watch
from ops.models import Incident, QueueHeartbeat, ReconciliationRun
from ops.reconciliation import reconcile
from ops.tasks import tick, tick_signer, tick_telegram
from payments.sending import pause
from sandbox.process import LOOPBACK
from sandbox.services import Services
from sandbox.telegram.control import Telegram
from tests.database import Clone
from tests.ops.incidents.conftest import ACTOR, VERA, Clock, make_vera
from tests.ops.incidents.outside import Hook
from tests.redis_elsewhere import state_at

pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def new_kafka_client() -> Iterator[None]:
    """Kafka's client keeps its address."""
    kafka._asking_client.cache_clear()
    yield
    kafka._asking_client.cache_clear()


@pytest.fixture
def services(settings: Settings) -> Iterator[Services]:
    """A Redis and a Kafka that may be killed."""
    root = Path(tempfile.mkdtemp(prefix="advertmarket-watch-"))
    with Services(root, ephemeral=True, names={"valkey", "kafka"}) as services:
        state_at(settings, f"redis://{LOOPBACK}:{services.env['REDIS_PORT']}/0")
        settings.KAFKA_BOOTSTRAP_SERVERS = services.env["KAFKA_BOOTSTRAP_SERVERS"]
        yield services


class Day:
    """A running installation of which a test may kill a part, and the watch over it."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.watch = Watch(clock)
        self.celery_works = True

    def passes(self, *, minutes: int) -> None:
        """Let the watch look twice a minute."""
        for _ in range(2 * minutes):
            self._work()
            self.watch.turn()
            assert self.watch.finish(limit_s=40)
            self.clock.move(seconds=30)

    def _work(self) -> None:
        """What the processes that are not here do."""
        if self.celery_works:
            for one in (tick, tick_signer, tick_telegram):
                one()
            reconcile(ReconciliationRun.Kind.FULL, asked_by=ACTOR, ask_chain=False)
        for group in consumer.groups():
            heartbeat.beat(group, status="running", lag=0, last_message_at=None, at=timezone.now())


@pytest.fixture
def day(
    committed_db: Clone, services: Services, telegram: Telegram, hook: Hook, clock: Clock
) -> Iterator[Day]:
    make_vera()
    with transaction.atomic():
        pause.confirm_epoch(actor=ACTOR, reason="test", at=timezone.now())
    call_command("register_webhook")
    day = Day(clock)
    day.passes(minutes=2)
    assert list(Incident.objects.values_list("cause", "facts")) == []
    yield day
    day.watch.leave()


def heard(hook: Hook) -> list[tuple[str, str]]:
    """What came by hook: how grave, and of which cause."""
    return [(post["severity"], post["cause"]) for post in hook.posts]


def test_a_healthy_day_wakes_nobody(day: Day, telegram: Telegram, hook: Hook) -> None:
    day.passes(minutes=10)

    assert (heard(hook), telegram.messages(VERA)) == ([], [])


def test_redis_dies(day: Day, services: Services, telegram: Telegram, hook: Hook) -> None:
    services.kill("valkey")
    day.celery_works = False  # Redis is its broker
    day.passes(minutes=5)

    assert heard(hook) == [("P1", "redis_down")]
    [message] = telegram.messages(VERA)
    assert message["text"].startswith("P1 · Redis does not answer")
    assert "Payouts are paused: Redis cannot be read" in message["text"]


def test_kafka_dies(day: Day, services: Services, telegram: Telegram, hook: Hook) -> None:
    services.kill("kafka")
    day.passes(minutes=3)

    assert heard(hook) == [("P2", "kafka_down")]
    assert len(telegram.messages(VERA)) == 1


def test_celery_dies(day: Day, telegram: Telegram, hook: Hook) -> None:
    day.celery_works = False
    QueueHeartbeat.objects.all().delete()
    day.passes(minutes=3)

    assert heard(hook) == [("P1", "celery_silent")]
    assert len(telegram.messages(VERA)) == 1


def test_telegram_dies(day: Day, telegram: Telegram, hook: Hook) -> None:
    telegram.fault(times=10_000, code=502)
    day.passes(minutes=8)

    assert heard(hook)[0] == ("P2", "telegram_away")
    telegram.clear_faults()
    assert telegram.messages(VERA) == []


def test_the_token_is_refused(day: Day, telegram: Telegram, hook: Hook) -> None:
    telegram.fault(times=10_000, code=401)
    day.passes(minutes=2)

    assert heard(hook)[0] == ("P1", "telegram_refused")


def test_everything_but_postgresql_is_dead(
    day: Day, services: Services, telegram: Telegram, hook: Hook
) -> None:
    for name in ("valkey", "kafka"):
        services.kill(name)
    day.celery_works = False
    telegram.fault(times=10_000, lost=True)
    day.passes(minutes=6)

    told = {cause for _, cause in heard(hook)}
    assert told >= {"redis_down", "kafka_down", "telegram_away"}
    assert "celery_silent" not in told  # that is what follows from Redis


def test_redis_and_kafka_hang(day: Day, settings: Settings, telegram: Telegram, hook: Hook) -> None:
    """They accept connections and never say a word: worse than dead."""
    with socket.create_server((LOOPBACK, 0), backlog=64) as hole:
        port = hole.getsockname()[1]
        state_at(settings, f"redis://{LOOPBACK}:{port}/0")
        settings.KAFKA_BOOTSTRAP_SERVERS = f"{LOOPBACK}:{port}"
        kafka._asking_client.cache_clear()
        began = time.monotonic()
        for _ in range(4):
            day.watch.turn()
            assert time.monotonic() - began < 10
            assert day.watch.finish(limit_s=40)
            day.clock.move(seconds=30)
            began = time.monotonic()

    assert {cause for _, cause in heard(hook)} == {"redis_down", "kafka_down"}
    assert len(telegram.messages(VERA)) == 2
