"""Markets to trade in: without money, with a local chain, with a local Telegram, too."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.fixtures import Settings

from sandbox.process import LOOPBACK, Child, free_port
from sandbox.telegram.control import Telegram
from sandbox.ton.control import Chain
from tests.database import Clone
from tests.deals.market import FundedMarket, LiveMarket, Market
from tests.local_telegram import local_telegram
from tests.payments.bank import Bank


@pytest.fixture
def market(db: None) -> Market:
    """Deals that nobody pays, in a test that is rolled back."""
    return Market()


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """A local chain that makes a block only when ordered."""
    port = free_port()
    child = Child(
        "ton",
        [sys.executable, "-m", "sandbox.ton", f"--port={port}", "--block-ms=0"],
        log=tmp_path / "ton.log",
    )
    child.wait_for_line("ready")
    with Chain(f"http://{LOOPBACK}:{port}") as control:
        yield control
    child.stop()


@pytest.fixture
def bank(committed_db: Clone, chain: Chain, settings: Settings) -> Iterator[Bank]:
    """Payments on a fresh database and chain."""
    settings.TON_API_URL = chain.url
    settings.TON_API_RPS = 1000
    bank = Bank(chain)
    yield bank
    bank.client.close()


@pytest.fixture
def funded_market(bank: Bank) -> FundedMarket:
    """Deals that are paid on a local chain, committed."""
    return FundedMarket(bank)


@pytest.fixture
def telegram(tmp_path: Path, settings: Settings) -> Iterator[Telegram]:
    """A local Telegram."""
    with local_telegram(tmp_path, settings) as telegram:
        yield telegram


@pytest.fixture
def live_market(bank: Bank, telegram: Telegram, settings: Settings) -> LiveMarket:
    """Deals that are paid and posted, committed."""
    settings.TELEGRAM_VERIFIER_CHAT_ID = 0  # restored after the test
    return LiveMarket(bank, telegram)
