"""A chain of one's own for each test, and the payments side driven by hand, step by step."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import time_machine
from django.utils import timezone
from pytest_django.fixtures import Settings

from payments import wallets
from payments.ton import api
from sandbox.ton.control import Chain
from tests.database import Clone
from tests.payments.backups import backups
from tests.payments.bank import Bank, PollingBank
from tests.payments.doomed import Doomed
from tests.payments.mothers import Mother
from tests.payments.server import Server, Sleeps
from tests.payments.walk.life import Life

__all__ = ["backups"]


@pytest.fixture(scope="session")
def mother_of_chains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mother]:
    """Starts local chains quickly."""
    mother = Mother("tests.payments.forks_chains", tmp_path_factory.mktemp("chains") / "ton.log")
    yield mother
    mother.stop()


@pytest.fixture
def chain(request: pytest.FixtureRequest, mother_of_chains: Mother) -> Iterator[Chain]:
    """A local chain that makes a block only when ordered; its parameter is further options."""
    pid, url = mother_of_chains.ask(["--block-ms=0", *getattr(request, "param", ())])
    with Chain(url) as control:
        yield control
    os.kill(pid, signal.SIGTERM)


@pytest.fixture
def api_version() -> str:
    """The version of TON Center's API that payments speaks; a module may override it."""
    return "v3"


@pytest.fixture
def bank(
    committed_db: Clone,
    chain: Chain,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    api_version: str,
) -> Iterator[Bank]:
    """Payments on a fresh database and chain: cursor placed, wallets in stock, not paused."""
    settings.TON_API_URL = chain.url
    settings.TON_API_VERSION = api_version
    settings.TON_API_RPS = 1000
    monkeypatch.setattr(wallets, "STOCK", 3)
    bank = PollingBank(chain) if api_version == "v2" else Bank(chain)
    yield bank
    bank.hang_up()


@pytest.fixture
def life(bank: Bank, settings: Settings) -> Iterator[Life]:
    """The bank with a clock that goes with the chain's."""
    with time_machine.travel(timezone.now(), tick=True) as clock:
        yield Life(bank, clock, settings)


@pytest.fixture(scope="session")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doomed]:
    """Does work in processes that get killed."""
    doomed = Doomed(tmp_path_factory.mktemp("doomed") / "doomed.log")
    yield doomed
    doomed.stop()


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> Sleeps:
    """The clock of the doors to the chain, which sleeps for no time at all."""
    sleeps = Sleeps()
    monkeypatch.setattr(api, "time", sleeps)
    return sleeps


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """A TON Center that says what a test tells it to."""
    server = Server()
    settings.TON_API_URL = server.url
    settings.TON_API_RPS = 1000
    yield server
    server.stop()
