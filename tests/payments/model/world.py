"""A database, a chain and two clocks that stand still, for each run of the machine."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from uuid import UUID

import time_machine
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from accounts.models import Operator
from advertmarket.actors import Actor
from advertmarket.state import redis_state
from payments import wallets
from payments.models import Settlement
from payments.operations import requests
from payments.ton import api as ton_api
from payments.ton import client as ton_client
from payments.ton.client import TonClient
from payments.wallets import refill_stock
from sandbox.ton.control import Chain
from tests.database import Databases, pointed_to
from tests.payments.bank import Bank
from tests.payments.contracts import deploy_refuser
from tests.payments.doomed import Doomed
from tests.payments.mothers import Mother

_STOCK = 3
_SETTINGS = {"TON_API_RPS": 1_000_000, "TREASURY_COLD_ADDRESS": "0:" + "c0" * 32}
_PERMISSIONS = ("operate_money", "approve_money")


class World:
    """Payments on an empty database and chain, whose time passes only when told to.

    Both begin anew with each run, so that a run depends on its choices alone and can be replayed.
    """

    def __init__(self, chain: Chain, clock: time_machine.Traveller, doomed: Doomed) -> None:
        self.chain = chain
        self.bank = Bank(chain)
        self.doomed = doomed
        self._clock = clock
        self._numbers = itertools.count(1)
        self._random = random.Random(0)
        self.refuser = deploy_refuser(self.bank)
        self.operators = [self._operator(name) for name in ("asks", "agrees")]

    @property
    def client(self) -> TonClient:
        """This process's client."""
        return self.bank.client

    def restart(self) -> None:
        """What a new process has: nothing in memory."""
        self.bank.client.close()
        self.bank.client = TonClient()
        self.bank.api = self.bank.make_api()

    def number(self) -> int:
        """Return a number that was not given out before."""
        return next(self._numbers)

    def uuid(self) -> UUID:
        """Return a UUID, the same ones in each world."""
        return UUID(int=self._random.getrandbits(128), version=4)

    def address(self) -> str:
        """Return a raw address that nobody has used."""
        return f"0:{self._random.getrandbits(256):064x}"

    def tick(self) -> None:
        """A moment passes here, and none on the chain."""
        self._clock.shift(dt.timedelta(milliseconds=1))

    def pass_time(self, seconds: int) -> None:
        """Both clocks go on; if the chain's was ahead, ours catches up."""
        there = dt.datetime.fromtimestamp(self.chain.advance(seconds), dt.UTC)
        self._clock.move_to(max(there, timezone.now()))

    def hurry(self) -> None:
        """Whatever waits for its next look is looked at now."""
        Settlement.objects.filter(state__in=Settlement.WORKING).update(due_at=timezone.now())

    def refill(self) -> None:
        """Have addresses in stock."""
        refill_stock(self.client, at=timezone.now())

    def ask(self, name: str, *, agree: bool = True, **payload: object) -> bool:
        """An operator asks for it and, if need be, another one agrees; return if it was done.

        Raises:
            DomainError: what the operation, or the door, refuses.
        """
        at = timezone.now()
        asks, agrees = self.operators
        evidence = requests.look(name, payload)
        with transaction.atomic():
            request = requests.ask(
                name=name, payload=payload, reason="because", actor=asks, at=at, evidence=evidence
            )
        if request.state == request.State.PENDING:
            decide = requests.approve if agree else requests.reject
            extra = {"evidence": evidence} if agree else {}
            with transaction.atomic():
                request = decide(request_id=request.pk, actor=agrees, at=at, **extra)
        return bool(request.state == request.State.DONE)

    def _operator(self, name: str) -> Actor:
        operator = Operator.objects.create(username=name, password="!")
        operator.user_permissions.set(Permission.objects.filter(codename__in=_PERMISSIONS))
        return Actor.operator(operator.pk)


class Worlds:
    """Makes worlds. Nothing waits for real: what sleeps between two tries does not sleep."""

    def __init__(self, databases: Databases, mother: Mother, doomed: Doomed) -> None:
        self._databases = databases
        self._mother = mother
        self._doomed = doomed

    @contextmanager
    def world(self) -> Iterator[World]:
        """A new one; afterwards nothing is left of it."""
        with ExitStack() as stack:
            clone = stack.enter_context(self._databases.clone())
            stack.enter_context(pointed_to(clone.name))
            pid, url = self._mother.ask(["--block-ms=0"])
            stack.callback(os.kill, pid, signal.SIGTERM)
            chain = stack.enter_context(Chain(url))
            now = dt.datetime.fromtimestamp(chain.freeze_clock(), dt.UTC)
            clock = stack.enter_context(time_machine.travel(now, tick=False))
            stack.enter_context(override_settings(**_SETTINGS, TON_API_URL=url))
            stack.enter_context(replaced(ton_api, "time", SimpleNamespace(sleep=_do_not)))
            stack.enter_context(replaced(wallets, "STOCK", _STOCK))
            stack.callback(redis_state().flushall)
            world = World(chain, clock, self._doomed)
            stack.callback(lambda: world.client.close())
            stack.enter_context(replaced(ton_client, "reading", lambda: world.client))
            yield world


def _do_not(_seconds: float) -> None:
    return


@contextmanager
def replaced(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Let a module have something else by this name."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
