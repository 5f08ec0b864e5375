"""A chain of one's own for each test, and the payments side driven by hand, step by step."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from payments import wallets
from sandbox.process import LOOPBACK, Child, free_port
from sandbox.ton.control import Chain
from tests.database import Clone
from tests.payments.bank import Bank
from tests.payments.doomed import Doomed


@pytest.fixture
def chain(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Chain]:
    """A local chain that makes a block only when ordered; its parameter is further options."""
    port = free_port()
    child = Child(
        "ton",
        [
            *(sys.executable, "-m", "sandbox.ton", f"--port={port}", "--block-ms=0"),
            *getattr(request, "param", ()),
        ],
        log=tmp_path / "ton.log",
    )
    child.wait_for_line("ready")
    with Chain(f"http://{LOOPBACK}:{port}") as control:
        yield control
    child.stop()


@pytest.fixture
def bank(
    committed_db: Clone, chain: Chain, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bank]:
    """Payments on a fresh database and chain: cursor placed, wallets in stock, not paused."""
    settings.TON_API_URL = chain.url
    settings.TON_API_RPS = 1000
    monkeypatch.setattr(wallets, "STOCK", 3)
    bank = Bank(chain)
    yield bank
    bank.client.close()


@pytest.fixture(scope="session")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doomed]:
    """Does work in processes that get killed."""
    doomed = Doomed(tmp_path_factory.mktemp("doomed") / "doomed.log")
    yield doomed
    doomed.stop()
