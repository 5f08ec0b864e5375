"""A thousand payouts are on their way when an operator pauses: no more leave, and none is lost.

The processes are those of production: two signers, the chain reader, beat. Every deal has its own
wallet, with its own deposit on the chain, and its own sum, so that money which went astray would
show; fifty deals each have the same owner. They are made in few database transactions, and paid in
few blocks, by the services that make each deal.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from advertmarket.state import redis_state
from payments import wallets
from payments.deposits import rule
from payments.models import Settlement, TonTransaction
from payments.sending.pause import PAUSE_KEY
from sandbox.process import Child, stop_all
from sandbox.scratch import scratch_dir
from sandbox.services import Services
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests import environment
from tests.database import Clone
from tests.operators import hire
from tests.payments.bank import Bank
from tests.redis_elsewhere import state_at
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PAYOUTS = 1_000
OWNERS = 20
SENT_BEFORE = 300
TON = 1_000_000_000
State = Settlement.State

_SIGNER = ("signer", "-m", "tests.payments.signer")
PROCESSES = {
    "signer": _SIGNER,
    "other-signer": _SIGNER,
    "reader": ("chain", "manage.py", "read_chain"),
    "beat": ("beat", "-m", "celery", "-A", "advertmarket", "beat", "--schedule={folder}/beat.db"),
}
"""The role of each, and its arguments to Python."""


@pytest.fixture
def redis(settings: Settings) -> Iterator[Services]:
    """A Redis of this test's own, which keeps over a restart what it acknowledged."""
    root = scratch_dir()
    try:
        with Services(root, ephemeral=False, names={"valkey"}) as services:
            env = services.env
            state_at(settings, f"redis://{env['REDIS_HOST']}:{env['REDIS_PORT']}/0")
            yield services
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def due(redis: Services, bank: Bank, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """What is due to each owner's address, in nanoTON; nobody works yet."""
    bank.confirm_epoch()
    for limit in ("STOCK", "_MOST_ASKED"):
        monkeypatch.setattr(wallets, limit, PAYOUTS)
    wallets.refill_stock(bank.api, at=timezone.now())
    with transaction.atomic():
        prices = {bank.open_escrow(TON + number): TON + number for number in range(PAYOUTS)}
    for reference, price_nano in prices.items():
        bank.chain.faucet(bank.wallet(reference).address, price_nano, mine=False)
    bank.read()
    due = defaultdict(list)
    with transaction.atomic():
        while rule.ready_deposits():
            bank.apply_deposits()
        for number, (reference, price_nano) in enumerate(prices.items()):
            bank.owner_id = 1_000 + number % OWNERS
            bank.owner = PersonsWallet(f"owner {bank.owner_id}")
            if number < OWNERS:
                bank.set_payout_address()
            bank.release(reference, owner_share_nano=price_nano * 9 // 10)
            due[bank.owner.raw_address].append(price_nano * 9 // 10)
    return due


class Supervisor:
    """Starts the processes, and again what has ended: Redis takes Celery along when it goes."""

    def __init__(self, env: dict[str, str], folder: Path) -> None:
        self._env = env
        self._folder = folder
        self._children: dict[str, Child] = {}

    def wait(self, happened: Callable[[], object]) -> None:
        """Keep all of them running until something has happened."""

        def look() -> object:
            for name in PROCESSES:
                if name not in self._children or self._children[name].returncode is not None:
                    self._children[name] = self._start(name)
            return happened()

        wait_until(look, timeout_s=400)

    def stop(self) -> None:
        """End them in order."""
        stop_all(self._children.values())

    def _start(self, name: str) -> Child:
        role, *arguments = PROCESSES[name]
        env = {**self._env, "PROCESS_ROLE": role}
        if role != "signer":
            env["TON_WALLET_MNEMONIC"] = ""
        command = [sys.executable, *(part.format(folder=self._folder) for part in arguments)]
        return Child(name, command, log=self._folder / f"{name}.log", env=env)


@pytest.fixture
def supervisor(
    redis: Services, bank: Bank, committed_db: Clone, tmp_path: Path
) -> Iterator[Supervisor]:
    """Nothing runs before it is waited for."""
    env = {
        **environment.VARIABLES,
        **committed_db.env,
        **redis.env,
        "TON_API_URL": bank.chain.url,
        "TON_API_RPS": "1000",
        "TON_READER_POLL_S": "0.1",
    }
    supervisor = Supervisor(env, tmp_path)
    yield supervisor
    supervisor.stop()


def all_unsent_wait_for(reason: str) -> bool:
    """Whether every settlement that has not left was tried since, and refused for `reason`."""
    unsent = Settlement.objects.filter(state__in=[State.QUEUED, State.SIGNED])
    return not unsent.exclude(waiting_for__contains=reason).exists()


@pytest.mark.parametrize("chain", [["--block-ms=500"]], indirect=True, ids=["blocks"])
def test_a_pause_in_the_middle_of_a_thousand_payouts(
    bank: Bank, due: dict[str, list[int]], supervisor: Supervisor, redis: Services
) -> None:
    wait = supervisor.wait
    wait(lambda: TonTransaction.objects.exclude(broadcast_at=None).count() >= SENT_BEFORE)

    paused_at = time.time()
    redis_state().set(PAUSE_KEY, "1")
    wait(lambda: all_unsent_wait_for("system:pause_payouts is set"))
    sent_at = bank.chain.broadcasts()
    assert sent_at[-1] <= paused_at + 1
    assert len(sent_at) < PAYOUTS

    redis_state().flushall()
    redis.restart("valkey")
    wait(lambda: all_unsent_wait_for("Redis lost its memory"))
    assert bank.chain.broadcasts() == sent_at
    watched_s = time.time() - paused_at
    assert sum(paused_at - watched_s < at <= paused_at for at in sent_at) > 10

    hire("vera", "operate_money")
    call_command("confirm_epoch", operator="vera", reason="Redis was rebuilt")
    wait(lambda: not Settlement.objects.exclude(state=State.CONFIRMED).exists())
    for address, sums in due.items():
        assert sorted(bank.received_at(address)) == sorted(sums)
    assert TonTransaction.objects.filter(sent_nano__gt=0).count() == PAYOUTS
    assert bank.off_the_chain() == {}
