"""Markets to trade in: without money, with a local chain, with a local Telegram, too.

The stand-ins serve all tests of a process: each test has its own database, wallets and chats.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from advertmarket.telegram import limits
from sandbox.process import LOOPBACK, Child, free_port
from sandbox.telegram.control import Telegram
from sandbox.ton.control import Chain
from tests import environment
from tests.database import Clone
from tests.deals.market import FundedMarket, LiveMarket, Market
from tests.local_telegram import close_bot
from tests.payments.bank import Bank

_subwallets = itertools.count(1, 1_000)


def stand_in(name: str, *arguments: str, log: Path) -> tuple[Child, str]:
    """Start `python -m sandbox.NAME` and return it with its address."""
    port = free_port()
    command = [sys.executable, "-m", f"sandbox.{name}", f"--port={port}", *arguments]
    child = Child(name, command, log=log / f"{name}.log")
    child.wait_for_line("ready")
    return child, f"http://{LOOPBACK}:{port}"


@pytest.fixture
def market(db: None) -> Market:
    """Deals that nobody pays, in a test that is rolled back."""
    return Market()


@pytest.fixture(scope="session")
def still_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A local chain that makes a block only when ordered; nobody moves its clock."""
    child, url = stand_in("ton", "--block-ms=0", log=tmp_path_factory.mktemp("ton"))
    with Chain(url) as control:
        yield control
    child.stop()


@pytest.fixture
def moving_chain(tmp_path: Path) -> Iterator[Chain]:
    """A local chain of the test's own, whose clock may move."""
    child, url = stand_in("ton", "--block-ms=0", log=tmp_path)
    with Chain(url) as control:
        yield control
    child.stop()


def bank_on(chain: Chain, settings: Settings) -> Iterator[Bank]:
    """Payments on a fresh database, reading this chain."""
    settings.TON_API_URL = chain.url
    settings.TON_API_RPS = 1000
    with connection.cursor() as cursor:  # other tests used the addresses before
        cursor.execute("SELECT setval('wallet_subwallet', %s)", [next(_subwallets)])
    bank = Bank(chain)
    yield bank
    bank.client.close()


@pytest.fixture
def bank(committed_db: Clone, still_chain: Chain, settings: Settings) -> Iterator[Bank]:
    """Payments on the chain of all tests."""
    yield from bank_on(still_chain, settings)


@pytest.fixture
def moving_bank(committed_db: Clone, moving_chain: Chain, settings: Settings) -> Iterator[Bank]:
    """Payments on a chain whose clock may move."""
    yield from bank_on(moving_chain, settings)


@pytest.fixture
def funded_market(bank: Bank) -> FundedMarket:
    """Deals that are paid on a local chain, committed."""
    return FundedMarket(bank)


@pytest.fixture
def moving_market(moving_bank: Bank) -> FundedMarket:
    """Deals that are paid on a chain whose clock may move, committed."""
    return FundedMarket(moving_bank)


@pytest.fixture(scope="session")
def telegram_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telegram]:
    """A local Telegram."""
    token = f"--token={environment.VARIABLES['TELEGRAM_BOT_TOKEN']}"
    child, url = stand_in("telegram", token, log=tmp_path_factory.mktemp("telegram"))
    with Telegram(url) as control:
        yield control
    close_bot()
    child.stop()


@pytest.fixture
def telegram(telegram_server: Telegram, settings: Settings) -> Iterator[Telegram]:
    """The local Telegram, which the bot talks to; its faults end with the test."""
    close_bot()  # of a test with another Telegram
    settings.TELEGRAM_API_URL = telegram_server.url
    settings.TELEGRAM_VERIFIER_CHAT_ID = 0  # each market has its own
    yield telegram_server
    telegram_server.clear_faults()


@pytest.fixture
def live_market(bank: Bank, telegram: Telegram, monkeypatch: pytest.MonkeyPatch) -> LiveMarket:
    """Deals that are paid and posted, committed; a day goes by in a second, without limits."""
    monkeypatch.setattr(limits, "_limits", lambda _chat_id: [])
    return LiveMarket(bank, telegram)


@pytest.fixture
def limited_market(live_market: LiveMarket, monkeypatch: pytest.MonkeyPatch) -> LiveMarket:
    """A market whose bot may send three messages to each chat, until Redis is emptied."""
    monkeypatch.setattr(limits, "_limits", lambda chat_id: [(f"chat:{chat_id}", 0.01, 3)])
    return live_market
