"""What a process counts can be asked for, whatever its role."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

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


def test_the_web_role_adds_up_what_its_processes_count(committed_db: Clone, tmp_path: Path) -> None:
    port, metrics_port = free_port(), free_port()
    (tmp_path / "metrics").mkdir()
    env = {
        **committed_db.env,
        "PROCESS_ROLE": "web",
        "TON_WALLET_MNEMONIC": "",
        "WEB_HOST": "127.0.0.1",
        "WEB_PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "SHUTDOWN_DRAIN_S": "0.1",
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics"),
    }
    web = Child(
        "web",
        [sys.executable, "manage.py", "serve"],
        env=env,
        log=tmp_path / "web.log",
        cwd=HOUSE,
    )
    try:
        web.wait_for_port(port)
        for _ in range(5):
            assert httpx.get(f"http://127.0.0.1:{port}/actuator/info").status_code == 200

        def counted() -> bool:
            text = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
            return "django_http_requests_before_middlewares_total 5.0" in text

        wait_until(counted, timeout_s=10, what="the requests of both processes")
    finally:
        web.stop(timeout_s=20)
    assert web.returncode == 0
