"""The web server's leave: health says so first, and no request is lost."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts import services
from sandbox.process import Child, free_port
from tests.accounts.launches import launch
from tests.database import Clone
from tests.waiting import wait_until

DRAIN_S = 1.0
HOUSE = Path(__file__).parent.parent.parent


class Web:
    """A web server on a clone."""

    def __init__(self, clone: Clone, log: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        env = {
            **clone.env,
            "PROCESS_ROLE": "web",
            "TON_WALLET_MNEMONIC": "",
            "WEB_HOST": "127.0.0.1",
            "WEB_PORT": str(port),
            "WEB_WORKERS": "2",
            "SHUTDOWN_DRAIN_S": str(DRAIN_S),
            "TELEGRAM_BOT_TOKEN": settings.TELEGRAM_BOT_TOKEN,
        }
        self.child = Child(
            "web", [sys.executable, "manage.py", "serve"], env=env, log=log, cwd=HOUSE
        )

    def status(self, path: str = "/actuator/health") -> int:
        """Ask on a new connection; 0 if there is none to be had."""
        try:
            return httpx.get(self.url + path, timeout=10).status_code
        except httpx.ConnectError:
            return 0

    def is_leaving(self) -> bool:
        """Whether it takes no new connection, or hangs up on one that the kernel took for it."""
        try:
            return self.status() == 0
        except httpx.TransportError:
            return True


@pytest.fixture
def web(committed_db: Clone, tmp_path: Path) -> Iterator[Web]:
    web = Web(committed_db, tmp_path / "web.log")
    wait_until(
        lambda: web.status("/actuator/health/readiness") == 200, timeout_s=30, what="readiness"
    )
    yield web
    web.child.kill()


@pytest.mark.thorough
def test_it_says_503_first_serves_on_and_then_ends_in_good_order(web: Web) -> None:
    stop = threading.Event()
    statuses: list[int] = []
    broken: list[tuple[float, Exception]] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                statuses.append(web.status("/api/v1/profile"))
            except httpx.HTTPError as error:
                broken.append((time.monotonic(), error))

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    signalled_at = time.monotonic()
    web.child.send_signal(signal.SIGTERM)
    wait_until(lambda: web.status() == 503, what="health 503")

    assert time.monotonic() - signalled_at < DRAIN_S
    assert web.status("/actuator/health/liveness") == 200
    assert web.child.wait(timeout_s=20) == 0
    stop.set()
    for client in clients:
        client.join(10)

    assert set(statuses) == {401, 0}
    assert statuses.count(401) > 3
    assert time.monotonic() - signalled_at > DRAIN_S
    assert [error for broken_at, error in broken if broken_at < signalled_at + DRAIN_S] == []


@pytest.mark.thorough
def test_a_request_that_takes_longer_than_the_draining_is_answered(
    web: Web, committed_db: Clone
) -> None:
    at = timezone.now()
    with transaction.atomic():
        token = services.log_in(init_data=launch(42, at=at - timedelta(seconds=1)), at=at).token
    answers: list[int] = []

    def change_language() -> None:
        answer = httpx.patch(
            f"{web.url}/api/v1/profile",
            json={"language": "ru"},
            headers={"authorization": f"Bearer {token}"},
            timeout=30,
        )
        answers.append(answer.status_code)

    with other_connection(committed_db) as other:
        other.execute("SELECT 1 FROM telegram_users WHERE id = 42 FOR UPDATE")
        request = threading.Thread(target=change_language)
        request.start()
        wait_until(request_is_blocked, what="the request waits for the row")
        web.child.send_signal(signal.SIGTERM)
        wait_until(web.is_leaving, what="the server accepts no more")
        assert answers == []
        other.rollback()
        request.join(20)

    assert answers == [200]
    assert web.child.wait(timeout_s=20) == 0


def other_connection(clone: Clone) -> psycopg.Connection[Any]:
    database = settings.DATABASES["default"]
    return psycopg.connect(
        host=str(database["HOST"]),
        port=str(database["PORT"]),
        user=str(database["USER"]),
        password=str(database["PASSWORD"]),
        dbname=clone.name,
    )


def request_is_blocked() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return cursor.fetchone() is not None
