"""Health: what is away makes it DOWN within 2 s, figures are for operators, nothing is a 500."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Operator
from advertmarket.messaging import heartbeat, kafka
from advertmarket.messaging.models import OutboxMessage
from ops import draining
from ops.health import checks
from ops.health.probes import Answer, Check, Probes, Unwell
from ops.own_connection import own_connection
from payments.models import ChainCursor
from sandbox.process import LOOPBACK
from tests.advertmarket.conftest import sign_in
from tests.database import Clone
from tests.hanging import Cable, black_hole, database_at
from tests.ops.bot_api import webhook
from tests.payments.server import Answer as Says
from tests.payments.server import Server
from tests.redis_elsewhere import state_at
from tests.waiting import wait_until

UP, DOWN = b'{"status":"UP"}', b'{"status":"DOWN"}'
HEALTH, READINESS = "/actuator/health", "/actuator/health/readiness"
LIVENESS, INFO = "/actuator/health/liveness", "/actuator/info"
COMPONENTS = ["db", "redis", "kafka", "ton", "telegram", "workers", "outbox", "disk"]
PROMISED_S = 2.5


@pytest.fixture
def olga(committed_db: Clone) -> Client:
    """An operator in the back office."""
    return session_of(Operator.objects.create(username="olga", is_staff=True))


def session_of(operator: Operator) -> Client:
    browser = Client(raise_request_exception=False)
    browser.force_login(operator)
    return browser


def get(path: str, asked_by: Client | None = None) -> tuple[int, bytes]:
    answer = (asked_by or Client()).get(path)
    return answer.status_code, answer.content


def figures(name: str, asked_by: Client) -> tuple[int, str, dict[str, Any]]:
    status, body = get(f"{HEALTH}/{name}", asked_by)
    said = json.loads(body)
    return status, said["status"], said["details"]


# --- for everybody --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [HEALTH, READINESS, LIVENESS])
def test_all_is_well_though_telegram_and_ton_are_away(
    committed_db: Clone, path: str, olga: Client
) -> None:
    assert get(path) == (200, UP)
    for name in ("ton", "telegram"):
        assert figures(name, olga)[:2] == (503, "DOWN")


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


@pytest.mark.thorough
@pytest.mark.parametrize("path", [HEALTH, READINESS])
def test_without_kafka_it_is_down(committed_db: Clone, path: str, settings: Settings) -> None:
    settings.KAFKA_BOOTSTRAP_SERVERS = "127.0.0.1:9"

    assert get(path) == (503, DOWN)


@pytest.mark.parametrize("path", [HEALTH, READINESS])
def test_without_the_database_it_is_down_and_the_process_lives(
    committed_db: Clone, path: str
) -> None:
    with database_at(9):
        assert get(path) == (503, DOWN)
        assert get(LIVENESS) == (200, UP)


def test_a_missing_migration_makes_it_unready_but_not_unhealthy(
    committed_db: Clone, olga: Client
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'accounts'")

    assert get(READINESS) == (503, DOWN)
    assert get(HEALTH) == (200, UP)
    assert "accounts.0001_initial" in figures("migrations", olga)[2]["missing"]


def test_draining_is_out_of_service_at_once_and_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(draining, "_flag", bytearray(1))
    draining.begin()

    out = (503, b'{"status":"OUT_OF_SERVICE"}')
    assert get(HEALTH) == get(READINESS) == out
    assert get(LIVENESS) == (200, UP)


# --- for operators --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*COMPONENTS, "migrations"])
def test_strangers_and_telegram_users_and_who_left_are_told_nothing(
    committed_db: Clone, olga: Client, name: str
) -> None:
    stranger, with_a_cookie = Client(), Client(raise_request_exception=False)
    with_a_cookie.cookies["sessionid"] = "made-up"
    Operator.objects.update(is_active=False)

    for asked_by in (stranger, with_a_cookie, sign_in(), olga):
        assert get(f"{HEALTH}/{name}", asked_by) == (401, b"")


def test_who_may_not_enter_the_back_office_is_told_nothing(committed_db: Clone) -> None:
    nobody = session_of(Operator.objects.create(username="eve", is_staff=False))

    assert get(f"{HEALTH}/db", nobody) == (401, b"")


@pytest.mark.parametrize("name", ["db", "redis", "kafka", "outbox", "disk", "migrations"])
def test_what_is_well_is_up(olga: Client, name: str) -> None:
    assert figures(name, olga)[:2] == (200, "UP")


def test_the_database_tells_who_is_there(olga: Client) -> None:
    details = figures("db", olga)[2]

    assert details["connections"] >= 2
    assert details["maxConnections"] >= details["connections"]
    assert details["latencyMs"] < 2000
    assert details["sizeBytes"] > 1_000_000


def test_redis_tells_of_its_memory(olga: Client) -> None:
    details = figures("redis", olga)[2]

    assert details["maxMemoryPolicy"] == "noeviction"
    assert details["usedMemoryBytes"] > 0


def test_kafka_tells_which_topics_are_missing(
    olga: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        kafka, "ping", lambda *, timeout_s: kafka.Cluster(1, frozenset({"deal.events"}))
    )

    assert figures("kafka", olga)[2]["missingTopics"] == [
        "escrow.commands",
        "escrow.confirmations",
        "escrow.deposits",
    ]


def test_ton_tells_its_last_block(olga: Client, ton_center: Server) -> None:
    status, word, details = figures("ton", olga)

    assert (status, word, details["headSeqno"]) == (200, "UP", 41)
    assert abs(details["headAgeS"]) < 30


def test_a_ton_whose_blocks_are_old_is_down(olga: Client, ton_center: Server) -> None:
    ton_center.answers = [Says({"last": {"seqno": 41, "gen_utime": str(int(time.time()) - 300)}})]

    status, word, details = figures("ton", olga)

    assert (status, word) == (503, "DOWN")
    assert details["problem"].startswith("its last block is 30")


def test_ton_is_asked_once(olga: Client, ton_center: Server) -> None:
    ton_center.answers = [Says({"error": "busy"}, status=429, headers={"Retry-After": "9"})]

    assert figures("ton", olga)[:2] == (503, "DOWN")
    assert ton_center.asked == ["masterchainInfo"]


def test_telegram_tells_of_the_webhook(olga: Client, bot_api: Server) -> None:
    status, word, details = figures("telegram", olga)

    assert (status, word, details["pendingUpdates"]) == (200, "UP", 3)


def test_the_webhook_s_last_error_is_told(olga: Client, bot_api: Server) -> None:
    error = {"last_error_date": int(time.time()) - 60, "last_error_message": "SSL error"}
    bot_api.answers = [Says({"ok": True, "result": webhook(**error)})]

    details = figures("telegram", olga)[2]

    assert (details["lastError"], round(details["lastErrorAgeS"], -1)) == ("SSL error", 60)


@pytest.mark.parametrize(
    ("pending", "age_s", "problem"),
    [
        (3, 60, "3 updates wait: SSL error"),
        (3, 600, None),  # Telegram tries again within two minutes: that is over
        (0, 60, None),
        (100, 600, "100 updates wait: SSL error"),
    ],
)
def test_telegram_that_cannot_bring_its_updates_is_down(
    pending: int, age_s: int, problem: str | None, olga: Client, bot_api: Server
) -> None:
    error = {"last_error_date": int(time.time()) - age_s, "last_error_message": "SSL error"}
    info = webhook(pending_update_count=pending, **error)
    bot_api.answers = [Says({"ok": True, "result": info})]

    assert figures("telegram", olga)[2].get("problem") == problem


def test_without_a_webhook_telegram_is_down(olga: Client, bot_api: Server) -> None:
    bot_api.answers = [Says({"ok": True, "result": webhook(url="")})]

    status, _, details = figures("telegram", olga)

    assert (status, details["problem"]) == (503, "no webhook is registered")


def test_workers_that_work_are_up(olga: Client, consumers: None) -> None:
    status, word, details = figures("workers", olga)

    assert (status, word) == (200, "UP")
    assert details["groups"]["cg-deposit-watcher"] == {
        "instances": 1,
        "states": ["running"],
        "lag": 2,
    }
    assert details["chain"]["blocksBehind"] == 1
    assert details["queues"] == {"celery": 0, "signer": 0, "telegram": 0}
    assert details["due"]["settlements"] == {"count": 0, "oldestS": 0}


def test_a_group_without_a_sign_of_life_is_down(olga: Client, consumers: None) -> None:
    heartbeat.withdraw("cg-deposit-watcher")

    status, _, details = figures("workers", olga)

    assert (status, details["problem"]) == (503, "cg-deposit-watcher gives no sign of life")


def test_a_group_that_has_stopped_is_down(olga: Client, consumers: None) -> None:
    heartbeat.beat(
        "cg-deposit-watcher", status="stopped", lag=9, last_message_at=None, at=timezone.now()
    )

    assert figures("workers", olga)[2]["problem"] == "cg-deposit-watcher has stopped"


def test_a_chain_reader_that_stands_still_is_down(olga: Client, consumers: None) -> None:
    ChainCursor.objects.update(read_at=timezone.now() - checks.STANDS_STILL_AFTER * 2)

    assert figures("workers", olga)[2]["problem"] == "the chain was read 120 s ago"


def test_with_redis_away_workers_still_tell_what_postgresql_knows(
    olga: Client, consumers: None, settings: Settings
) -> None:
    state_at(settings, "redis://127.0.0.1:9/0")

    details = figures("workers", olga)[2]

    assert details["problem"] == "Redis does not tell of consumers: ConnectionError"
    assert details["chain"]["blocksBehind"] == 1


@pytest.mark.parametrize(
    ("status", "age_s", "problem"),
    [
        ("PENDING", 61, "the oldest has waited for 61 s"),
        ("FAILED", 0, "1 can never be sent"),
    ],
)
def test_an_outbox_that_does_not_empty_is_down(
    olga: Client, status: str, age_s: int, problem: str
) -> None:
    event(status, age_s)

    word, _, details = figures("outbox", olga)

    assert (word, details["problem"]) == (503, problem)
    assert details[status.lower()] == 1


def event(status: str, age_s: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO notification_outbox (event_id, idempotency_key, topic, key, event_type,"
            " version, payload, payload_digest, correlation_id, status, attempts, error,"
            " created_at) VALUES (gen_random_uuid(), 'k', 't', gen_random_uuid(), 'e', 1, '{}',"
            " '', gen_random_uuid(), %s, 0, 'e', now() - make_interval(secs => %s))",
            [status, age_s],
        )
    assert OutboxMessage.objects.exists()


def test_a_full_disk_is_down(olga: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DISK_FULL_PERCENT", 0)

    status, _, details = figures("disk", olga)

    assert (status, details["problem"]) == (503, f"{details['usedPercent']} % are used")
    assert details["freeBytes"] > 0


# --- whatever hangs -------------------------------------------------------------------------------


def test_a_pool_without_connections_is_looked_at_all_the_same(
    olga: Client, settings: Settings
) -> None:
    most = settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"]
    connection.close()
    taken, release = threading.Barrier(most + 1), threading.Event()

    def take() -> None:
        connection.ensure_connection()
        taken.wait(10)
        release.wait(10)
        connection.close()

    with ThreadPoolExecutor(most) as takers:
        for _ in range(most):
            takers.submit(take)
        taken.wait(10)
        status, word, details = figures("db", olga)
        release.set()

    assert (status, word) == (200, "UP")
    assert details["connections"] > most


@pytest.mark.thorough
def test_when_all_hang_everybody_is_told_within_two_and_a_half_seconds(
    olga: Client, settings: Settings
) -> None:
    with ExitStack() as holes:
        hole = holes.enter_context(black_hole())
        state_at(settings, f"redis://{LOOPBACK}:{hole}/0")
        settings.CELERY_BROKER_URL = f"redis://{LOOPBACK}:{hole}/2"
        settings.KAFKA_BOOTSTRAP_SERVERS = f"{LOOPBACK}:{hole}"
        settings.TON_API_URL = settings.TELEGRAM_API_URL = f"http://{LOOPBACK}:{hole}"

        assert at_once(olga, "redis", "kafka", "ton", "telegram") == {503}
        holes.enter_context(database_at(hole))
        assert at_once(olga, *COMPONENTS) == {503}
        assert {timed(path, Client()) for path in (HEALTH, READINESS)} == {503}
        assert timed(LIVENESS, Client()) == 200


def at_once(asked_by: Client, *names: str) -> set[int]:
    """Ask for several components at the same time."""
    with ThreadPoolExecutor(len(names)) as clients:
        paths = [f"{HEALTH}/{name}" for name in names]
        return set(clients.map(lambda path: timed(path, clone_of(asked_by)), paths))


def timed(path: str, asked_by: Client) -> int:
    """Ask, and see that the promise was kept."""
    began = time.monotonic()
    status, body = get(path, asked_by)
    took_s = time.monotonic() - began
    assert took_s < PROMISED_S, (path, body)
    return status


@pytest.mark.thorough
def test_a_database_that_falls_silent_keeps_no_request_and_is_seen_again(
    olga: Client, settings: Settings
) -> None:
    """What was connected before it fell silent has no time-out that the network keeps."""
    cable = Cable(int(settings.DATABASES["default"]["PORT"]))
    with database_at(cable.port):
        assert get(f"{HEALTH}/db", olga)[0] == 200

        cable.hang()
        assert at_once(olga, *["db"] * 8) == {503}
        assert {timed(path, Client()) for path in (HEALTH, READINESS)} == {503}
        cable.flow()

        wait_until(lambda: get(f"{HEALTH}/db", olga)[0] == 200, what="the database is seen again")
    cable.cut()


def clone_of(browser: Client) -> Client:
    """The same session in another browser: a test client is one thread's."""
    clone = Client(raise_request_exception=False)
    clone.cookies = browser.cookies
    return clone


def test_a_redis_that_hangs_costs_two_seconds(committed_db: Clone, settings: Settings) -> None:
    with black_hole() as hole:
        settings.REDIS_STATE_URL = f"redis://127.0.0.1:{hole}/0"

        assert timed(HEALTH, Client()) == 503


# --- the runner -----------------------------------------------------------------------------------


def test_the_checks_leave_no_connection(committed_db: Clone) -> None:
    before = clients()

    assert get(READINESS) == (200, UP)

    wait_until(lambda: clients() <= before, what="the checks' connections end")


def clients() -> set[int]:
    """Who is connected to the database."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND backend_type = 'client backend'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def test_a_connection_beside_the_pool_says_whose_it_is(committed_db: Clone) -> None:
    def look() -> None:
        with own_connection(limit_s=2), connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('application_name')")
            assert cursor.fetchone() == ("advertmarket-health",)
            cursor.execute("SELECT current_setting('statement_timeout')")
            assert cursor.fetchone() == ("2s",)

    with ThreadPoolExecutor(1) as other:
        other.submit(look).result(10)


def test_a_check_that_hangs_is_not_started_twice() -> None:
    starts: list[float] = []
    release = threading.Event()

    def hang() -> dict[str, object]:
        starts.append(time.monotonic())
        release.wait(30)
        return {}

    probes = Probes({"hanging": hang, "fine": dict})

    first = probes.ask(["hanging", "fine"], limit_s=0.2)
    second = probes.ask(["hanging", "fine"], limit_s=0.2)
    release.set()

    for answers in (first, second):
        assert answers["fine"] == Answer()
        assert answers["hanging"].problem == "no answer in 0.2 s"
    assert len(starts) == 1
    wait_until(lambda: probes.ask(["hanging"])["hanging"] == Answer(), what="it answers")


def test_checks_run_beside_each_other() -> None:
    both = threading.Barrier(2)

    def meet() -> dict[str, object]:
        both.wait(2)
        return {}

    assert Probes({"a": meet, "b": meet}).failures(["a", "b"]) == {}


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (psycopg.OperationalError("gone"), Answer("OperationalError: gone")),
        (Unwell("full", {"free": 0}), Answer("full", {"free": 0})),
        (socket.gaierror("no such host"), Answer("gaierror: no such host")),
    ],
)
def test_a_check_that_raises_says_why(error: Exception, answer: Answer) -> None:
    def fail() -> dict[str, object]:
        raise error

    check: Check = fail
    assert Probes({"a": check}).ask(["a"]) == {"a": answer}
