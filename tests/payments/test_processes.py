"""The processes that handle money, as they are started in production."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from payments import tasks
from payments.deposits import rule
from payments.models import ChainCursor, Deposit, Settlement, Wallet
from payments.ton import client
from sandbox.process import Child
from tests import environment
from tests.database import Clone
from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.waiting import wait_until

pytestmark = pytest.mark.thorough

StartReader = Callable[[], Child]


@pytest.fixture(params=["v3", "v2"])
def api_version(request: pytest.FixtureRequest) -> str:
    """Each way of speaking with the chain."""
    version: str = request.param
    return version


@pytest.fixture
def start_reader(
    bank: Bank, committed_db: Clone, tmp_path: Path, api_version: str
) -> Iterator[StartReader]:
    """Starts `manage.py read_chain` on the test's database and chain."""
    children: list[Child] = []

    def start() -> Child:
        child = Child(
            "read_chain",
            [sys.executable, "manage.py", "read_chain"],
            log=tmp_path / f"read_chain-{len(children)}.log",
            env={
                **environment.VARIABLES,
                **committed_db.env,
                "PROCESS_ROLE": "chain",
                "TON_WALLET_MNEMONIC": "",
                "TON_API_URL": bank.chain.url,
                "TON_API_VERSION": api_version,
                "TON_API_RPS": "1000",
                "TON_READER_POLL_S": "0.05",
            },
        )
        children.append(child)
        child.wait_for_line("chain reader started")
        return child

    yield start
    for child in children:
        child.kill()


def test_the_reader_books_what_comes_and_stops_when_told(
    bank: Bank, start_reader: StartReader
) -> None:
    reference = bank.open_escrow()
    child = start_reader()

    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    wait_until(Deposit.objects.exists)

    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0
    assert "chain reader stopped" in child.output()


def test_the_reader_outlives_a_chain_that_fails(bank: Bank, start_reader: StartReader) -> None:
    reference = bank.open_escrow()
    bank.chain.fault(bank.head, "error", times=2, status=422)
    child = start_reader()

    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    wait_until(Deposit.objects.exists)

    assert child.returncode is None
    assert "422" in child.output()


def test_a_reader_that_was_killed_is_followed_by_another(
    bank: Bank, start_reader: StartReader
) -> None:
    reference = bank.open_escrow()
    start_reader().kill()
    bank.chain.faucet(bank.wallet(reference).address, PRICE_NANO)
    behind = ChainCursor.objects.get().seqno

    start_reader()
    wait_until(lambda: ChainCursor.objects.get().seqno > behind)

    assert Deposit.objects.get().amount_nano == PRICE_NANO


@pytest.fixture
def fresh_clients() -> Iterator[None]:
    """The tasks' clients and signer are made for this test's chain."""
    made = (client.reading, client.for_payouts)
    yield
    for make in made:
        make().close()
        make.cache_clear()
    tasks._signer.cache_clear()


def test_the_tasks_take_a_deal_from_the_payment_to_the_payout(
    bank: Bank, fresh_clients: None
) -> None:
    bank.set_payout_address()
    reference = bank.open_escrow()
    tasks.prepare_wallets()
    bank.pay(reference)
    tasks.apply_deposits()
    bank.release(reference)

    for _ in range(3):
        tasks.execute_settlements()
        bank.read()
        Settlement.objects.filter(state=Settlement.State.SUBMITTED).update(
            due_at=bank.settlement(reference).created_at
        )
    tasks.execute_settlements()

    assert bank.owner_received() == [OWNER_SHARE_NANO]
    assert bank.settlement(reference).state == Settlement.State.CONFIRMED


def test_a_deposit_that_cannot_be_decided_keeps_no_other_one_waiting(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned, good = bank.open_escrow(), bank.open_escrow()
    bank.pay(poisoned)
    bank.pay(good)
    decide = rule.apply_rule

    def fail_on_the_first(*, deposit_id: int, at: object) -> None:
        if deposit_id == Deposit.objects.earliest("pk").pk:
            raise ZeroDivisionError
        decide(deposit_id=deposit_id, at=at)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(tasks, "apply_rule", fail_on_the_first)

    tasks.apply_deposits()

    assert bank.escrow(poisoned).state == "AWAITING"
    assert bank.escrow(good).state == "FUNDED"


def test_without_the_chain_the_stock_waits(bank: Bank, fresh_clients: None) -> None:
    bank.open_escrow()
    bank.chain.fault("*", "error", status=422)

    tasks.prepare_wallets()
    assert Wallet.objects.count() == 4
    tasks.prepare_wallets()

    assert Wallet.objects.count() == 5
