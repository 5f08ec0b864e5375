"""What a process counts can be asked for, whatever its role."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from django.db import OperationalError, connection, connections
from prometheus_client import REGISTRY

from advertmarket import db_pool
from sandbox.process import Child, free_port
from tests.database import Clone
from tests.environment import VARIABLES
from tests.waiting import wait_until

HOUSE = Path(__file__).parents[2]
BEGIN_AND_ASK = """
import os, urllib.request
import django; django.setup()
from django.conf import settings
from advertmarket.process import begin
begin(settings.PROCESS_ROLE)
print(urllib.request.urlopen("http://127.0.0.1:" + os.environ["METRICS_PORT"]).read().decode())
"""


@pytest.mark.thorough
@pytest.mark.parametrize("role", ["worker", "signer", "beat", "consumer", "chain", "watch"])
def test_every_role_shows_what_it_counts(role: str) -> None:
    mnemonic = VARIABLES["TON_WALLET_MNEMONIC"] if role == "signer" else ""
    asked = subprocess.run(
        [sys.executable, "-c", BEGIN_AND_ASK],
        cwd=HOUSE,
        env={
            **os.environ,
            **VARIABLES,
            "PROCESS_ROLE": role,
            "TON_WALLET_MNEMONIC": mnemonic,
            "TELEGRAM_VERIFIER_CHAT_ID": "-1001",
            "METRICS_PORT": str(free_port()),
        },
        text=True,
        capture_output=True,
        check=False,
        timeout=40,
    )

    assert asked.returncode == 0, asked.stderr
    assert "process_start_time_seconds" in asked.stdout


class Web:
    """A web server of two processes that shows what they count."""

    def __init__(self, clone: Clone, folder: Path) -> None:
        self.port, self._metrics_port = free_port(), free_port()
        env = {
            **clone.env,
            "PROCESS_ROLE": "web",
            "TON_WALLET_MNEMONIC": "",
            "WEB_HOST": "127.0.0.1",
            "WEB_PORT": str(self.port),
            "METRICS_PORT": str(self._metrics_port),
            "DB_POOL_MAX": "7",
            "SHUTDOWN_DRAIN_S": "0.1",
            "TMPDIR": str(folder),
        }
        self.child = Child(
            "web",
            [sys.executable, "manage.py", "serve"],
            env=env,
            log=folder / "web.log",
            cwd=HOUSE,
        )
        self.child.wait_for_port(self.port)

    def ask(self) -> None:
        """Ask something that is counted."""
        assert httpx.get(f"http://127.0.0.1:{self.port}/actuator/info").status_code == 200

    def shows(self, sample: str) -> None:
        """Wait until this line is among the metrics."""
        url = f"http://127.0.0.1:{self._metrics_port}/metrics"
        wait_until(lambda: sample in httpx.get(url).text.splitlines(), timeout_s=10, what=sample)

    def workers(self) -> set[int]:
        """The ids of its processes that answer."""
        pid = self.child.pid
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@pytest.fixture
def web(committed_db: Clone, tmp_path: Path) -> Iterator[Web]:
    web = Web(committed_db, tmp_path)
    yield web
    web.child.stop(timeout_s=20)


@pytest.mark.thorough
def test_the_web_role_adds_up_what_its_processes_count(web: Web, tmp_path: Path) -> None:
    for _ in range(5):
        web.ask()

    web.shows("django_http_requests_before_middlewares_total 5.0")
    web.shows("db_pool_connections_max 14.0")
    assert len(list(tmp_path.glob("advertmarket-metrics-*"))) == 1
    web.child.stop(timeout_s=20)
    assert web.child.returncode == 0
    assert list(tmp_path.glob("advertmarket-metrics-*")) == []


@pytest.mark.thorough
def test_what_a_dead_worker_counted_stays_and_what_it_held_does_not(web: Web) -> None:
    for _ in range(5):
        web.ask()
    web.shows("db_pool_connections_max 14.0")

    os.kill(web.workers().pop(), signal.SIGKILL)
    started = "Started worker-"
    wait_until(lambda: web.child.output().count(started) == 3, timeout_s=20, what="another one")
    web.ask()

    web.shows("django_http_requests_before_middlewares_total 6.0")
    web.shows("db_pool_connections_max 14.0")


def test_the_pool_shows_its_connections_and_who_got_none(
    committed_db: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"]["pool"], "max_size", 1)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"]["pool"], "timeout", 0.05)
    connection.ensure_connection()
    db_pool.measure()
    before = refused()

    with ThreadPoolExecutor(1) as other:
        refusal = other.submit(connection_of_this_thread).exception()
    db_pool.measure()

    assert isinstance(refusal, OperationalError)
    assert refused() == before + 1
    assert value("db_pool_connections_max") == 1
    assert value("db_pool_connections", state="used") == 1
    assert value("db_pool_connections", state="idle") == 0


def connection_of_this_thread() -> None:
    connections["default"].ensure_connection()


def refused() -> float:
    return value("db_pool_errors_total")


def value(name: str, **labels: str) -> float:
    found = REGISTRY.get_sample_value(name, labels)
    assert found is not None
    return found
