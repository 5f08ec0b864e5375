"""docs/metrics.md names what processes show, and nothing else."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from ops.metrics.manual import PATH, Shown, catalogue, document
from ops.metrics.state import State
from sandbox.process import Child, free_port
from tests.database import Clone
from tests.environment import VARIABLES
from tests.waiting import wait_until

HOUSE = Path(__file__).resolve().parents[3]
CELERY = ("-m", "celery", "-A", "advertmarket")
COMMANDS = {
    "web": ("manage.py", "serve"),
    "worker": (*CELERY, "worker", "--concurrency=1", "--queues=celery"),
    "signer": (*CELERY, "worker", "--concurrency=1", "--queues=signer"),
    "beat": (*CELERY, "beat", "--schedule={folder}/beat"),
    "consumer": ("manage.py", "consume", "--all"),
    "chain": ("manage.py", "read_chain"),
}


def test_the_document_is_that_of_the_code() -> None:
    assert PATH.read_text() == document(), "run: python manage.py describe_metrics"


def test_every_metric_is_documented_once_and_says_what_it_is() -> None:
    metrics = catalogue()

    assert [name for name, times in Counter(m.name for m in metrics).items() if times > 1] == []
    assert [m.name for m in metrics if len(m.says) < 10] == []


def test_names_end_in_their_units() -> None:
    ours = [m for m in catalogue() if m.section != "Of libraries"]

    assert {
        m.name for m in ours if m.kind == "histogram" and not m.name.endswith("_seconds")
    } == set()
    assert {m.name for m in ours if m.name.endswith(("_ms", "_nano", "_s"))} == set()


@pytest.mark.django_db
def test_the_watch_shows_what_is_documented_of_it() -> None:
    registry = CollectorRegistry()
    registry.register(State())

    shown = typed(generate_latest(registry).decode())

    assert shown == {m.name for m in catalogue() if is_of_the_watch(m)}


@pytest.mark.thorough
@pytest.mark.timeout(240)
def test_processes_show_what_is_documented_and_nothing_else(
    committed_db: Clone, tmp_path: Path
) -> None:
    """The real ones, each for its role. The web role shows only what has been counted there."""
    with processes(committed_db, tmp_path) as started:
        web = started["web"]
        wait_until(lambda: web.ask("/api/v1/profile"), timeout_s=120, what="an answer of the API")
        answers = (
            'django_http_responses_total_by_status_view_method_total{method="GET",status="401"'
        )
        wait_until(lambda: answers in web.metrics(), what="the answer is counted")
        shown = {role: typed(process.metrics()) for role, process in started.items()}

    documented = {name(m) for m in catalogue() if not is_of_the_watch(m)}
    assert {role: names - documented for role, names in shown.items()} == {r: set() for r in shown}
    missing = {one for one in documented if not any(one in names for names in shown.values())}
    assert {one for one in missing if not one.startswith("django_http_")} == set()


def is_of_the_watch(metric: Shown) -> bool:
    gauges = {one.name for one in State().describe()}
    return metric.name in gauges


def name(metric: Shown) -> str:
    return metric.name + ("_total" if metric.kind == "counter" else "")


def typed(text: str) -> set[str]:
    """The names of what a process shows."""
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}


class Process:
    """A process of the product."""

    def __init__(self, role: str, clone: Clone, folder: Path) -> None:
        self._web_port, self._metrics_port = free_port(), free_port()
        mnemonic = VARIABLES["TON_WALLET_MNEMONIC"] if role == "signer" else ""
        self.child = Child(
            role,
            [sys.executable, *(part.format(folder=folder) for part in COMMANDS[role])],
            env={
                **clone.env,
                "PROCESS_ROLE": role,
                "TON_WALLET_MNEMONIC": mnemonic,
                "TELEGRAM_VERIFIER_CHAT_ID": "-1001",
                "METRICS_PORT": str(self._metrics_port),
                "WEB_PORT": str(self._web_port),
                "WEB_HOST": "127.0.0.1",
                "SHUTDOWN_DRAIN_S": "0.1",
            },
            log=folder / f"{role}.log",
            cwd=HOUSE,
        )

    def ask(self, path: str) -> bool:
        """Ask the web role; return whether there was an answer."""
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self._web_port}{path}").status_code > 0
        return False

    def metrics(self) -> str:
        """What it shows."""
        self.child.wait_for_port(self._metrics_port, timeout_s=120)
        return httpx.get(f"http://127.0.0.1:{self._metrics_port}/metrics").text


@contextmanager
def processes(clone: Clone, folder: Path) -> Iterator[dict[str, Process]]:
    """Every role's process, by its role."""
    started = {role: Process(role, clone, folder) for role in COMMANDS}
    try:
        yield started
    finally:
        for process in started.values():
            process.child.stop(timeout_s=30)
