"""Copies of the database, what operators do once one is brought back, and what must hold then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from ops import checks
from payments import tasks
from payments.chain import adoption
from payments.models import TonTransaction, Wallet
from payments.operations.wallets import AWallet, unfreeze
from payments.ton import client
from tests.database import Databases, pointed_to
from tests.operators import hire
from tests.payments.bank import ACTOR, Bank

SKIP = 30
MISSING = {
    "chain_transactions_have_their_journals",
    "every_out_is_owed_once",
    "wallets_hold_what_the_books_say",
}
"""The checks (2, 11, 15) that find what is not adopted yet."""


class Backups:
    """Copies of the database, taken in the middle of a test and brought back later in it."""

    def __init__(self, databases: Databases, stack: ExitStack) -> None:
        self._databases, self._stack = databases, stack
        self._name = ""

    def take(self) -> None:
        """Keep the database as it is now."""
        name = connection.settings_dict["NAME"]
        self._name = self._stack.enter_context(self._databases.clone(of=name)).name

    def restore(self) -> None:
        """Go on with the backup until the test ends. Redis and the chain are as they are."""
        self._stack.enter_context(pointed_to(self._name))


@pytest.fixture
def backups(databases: Databases, bank: Bank, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backups]:
    """What was taken is dropped after the test; the database lived on in is then checked."""
    monkeypatch.setattr(client, "reading", lambda: bank.client)
    hire("vera", "operate_money", "approve_money")
    hire("igor", "approve_money")
    with ExitStack() as stack:
        yield Backups(databases, stack)


def after_restore() -> None:
    call_command("after_restore", skip=SKIP)


def resume() -> None:
    call_command("confirm_epoch", operator="vera", second="igor", reason="restored")


def adopt_chain(*, dry_run: bool = False) -> None:
    call_command("adopt_chain", operator="vera", second="igor", dry_run=dry_run)


def foreign() -> list[TonTransaction]:
    return list(adoption.to_adopt())


def sweep(bank: Bank) -> None:
    tasks.sweep_commission()
    bank.settle()


def work_hard(bank: Bank) -> None:
    """All that runs by itself runs, again and again."""
    for _ in range(2):
        bank.read()
        bank.apply_deposits()
        bank.settle(turns=3)


def assert_whole(bank: Bank) -> None:
    """Books and chain agree about everything, and each wallet could sign again."""
    assert foreign() == []
    assert checks.run_all() == {}
    for wallet in Wallet.objects.exclude(last_lt=0):
        state = bank.client.wallet_state(wallet.address)
        assert (state.seqno, state.balance) == (wallet.expected_seqno, wallet.balance_nano)
        with transaction.atomic():
            unfreeze(
                AWallet(subwallet=wallet.subwallet),
                evidence=state,
                reason="adopted",
                actor=ACTOR,
                at=timezone.now(),
            )
