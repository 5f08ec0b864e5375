"""A chain that makes a block only when told, and chains with options of a test's own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.process import Child
from sandbox.ton.control import Chain
from sandbox.ton.wallets import Version, Wallet
from tests.sandbox.ton.api import Api

_seeds = itertools.count()


@dataclass(frozen=True)
class Running:
    """A running stand-in."""

    child: Child
    url: str


StartChain = Callable[..., Running]
NewWallet = Callable[..., Wallet]


def start(log: Path, *options: str) -> Running:
    """Start a stand-in and wait until it answers."""
    child = Child("ton", [sys.executable, "-m", "sandbox.ton", *options], log=log)
    child.wait_for_line("ready http")
    return Running(child, child.output().split("ready ")[1].split()[0])


@pytest.fixture(scope="session")
def chain_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A chain shared by all tests, who use wallets of their own; time stands still."""
    running = start(tmp_path_factory.mktemp("ton") / "ton.log", "--block-ms=0")
    with Chain(running.url) as chain:
        chain.freeze_clock()
    yield running.url
    running.child.stop()


@pytest.fixture
def chain(chain_url: str) -> Iterator[Chain]:
    """The shared chain's control plane."""
    with Chain(chain_url) as chain:
        yield chain
        chain.clear_faults()


@pytest.fixture
def api(chain_url: str) -> Iterator[Api]:
    """The shared chain's public API."""
    api = Api(chain_url)
    yield api
    api.close()


@pytest.fixture
def start_chain(tmp_path: Path) -> Iterator[StartChain]:
    """Starts stand-ins with options; they are stopped after the test."""
    children: list[Child] = []
    logs = itertools.count()

    def start_one(*options: str) -> Running:
        running = start(tmp_path / f"ton-{next(logs)}.log", *options)
        children.append(running.child)
        return running

    yield start_one
    for child in children:
        child.stop()


@pytest.fixture
def new_wallet() -> NewWallet:
    """Makes wallets that no other test has."""

    def make(version: Version = "v3r2") -> Wallet:
        return Wallet(f"tests {next(_seeds)}", version=version)

    return make
