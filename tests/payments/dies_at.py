"""`python -m tests.payments.dies_at`: processes that die, by SIGKILL, before a given line.

Each line of standard input is an order (JSON): a fork of this process carries it out, and may be
killed in it. Each line of standard output says how that ended. `doomed` is the other side.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import IO, Any

import django
import time_machine

from tests import environment

for _name, _value in environment.VARIABLES.items():
    os.environ.setdefault(_name, _value)
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connections, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import TelegramUser  # noqa: E402
from advertmarket.actors import Actor  # noqa: E402
from payments import deposits, pause, reader, services, tasks  # noqa: E402
from payments.executor import Executor  # noqa: E402
from payments.models import Deposit, Escrow  # noqa: E402
from payments.ton.client import TonClient, TonUnavailable  # noqa: E402
from payments.ton.wallet import Signer  # noqa: E402
from tests.payments.lines import Line, before, traced  # noqa: E402

_signer_of = functools.cache(Signer)
_signer_of(settings.TON_WALLET_MNEMONIC)  # what takes a tenth of a second is done once, here


def _execute() -> None:
    Executor(TonClient(), _signer_of(settings.TON_WALLET_MNEMONIC)).run(at_most=10)


def _read() -> None:
    with contextlib.suppress(TonUnavailable):
        reader.read_new_blocks(TonClient(), at_most=1000)


def _read_until_asked_to_stop() -> None:
    reader.read_new_blocks(TonClient(), at_most=1000, should_stop=lambda: True)


def _hear_of_deposits() -> None:
    for deposit_id in [*Deposit.objects.values_list("pk", flat=True), 0]:
        with transaction.atomic():
            deposits.apply_rule(deposit_id=deposit_id, at=timezone.now())


def _release() -> None:
    """End the deal that was opened last, in favour of the user who came last."""
    escrow = Escrow.objects.latest("opened_at")
    with transaction.atomic():
        services.release_escrow(
            reference=escrow.reference,
            owner_id=TelegramUser.objects.latest("pk").pk,
            owner_share_nano=escrow.price_nano * 9 // 10,
            actor=Actor.system("test"),
            at=timezone.now(),
        )


def _confirm_epoch() -> None:
    with transaction.atomic():
        pause.confirm_epoch(actor=Actor.system("test"), reason="test", at=timezone.now())


ACTS: dict[str, Callable[[], None]] = {
    "execute": _execute,
    "read": _read,
    "read_until_asked_to_stop": _read_until_asked_to_stop,
    "hear_of_deposits": _hear_of_deposits,
    "apply_deposits": tasks.apply_deposits,
    "release": _release,
    "confirm_epoch": _confirm_epoch,
}


def _carry_out(order: dict[str, Any], answer: IO[bytes]) -> None:
    os.dup2(2, 1)  # standard output is for answers
    for name, value in order["settings"].items():
        setattr(settings, name, value)
    connections.settings["default"]["NAME"] = order["database"]
    ahead = dt.timedelta(seconds=order["ahead_s"])
    with time_machine.travel(timezone.now() + ahead, tick=True):
        act = ACTS[order["act"]]
        if order["line"]:
            with before(
                Line(*order["line"]), functools.partial(os.kill, os.getpid(), signal.SIGKILL)
            ):
                act()
            return
        passed: list[tuple[str, int]] = []

        def reached(line: Line) -> None:
            passed.append((line.file, line.number))
            if len(passed) == order["lines"]:
                answer.write(json.dumps(passed[-1]).encode())
                answer.flush()
                os.kill(os.getpid(), signal.SIGKILL)

        with traced(set(order["files"]), reached):
            act()
        answer.write(json.dumps(passed).encode())


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        status = 1
        with os.fdopen(writing, "wb") as answer:
            try:
                _carry_out(order, answer)
                status = 0
            except BaseException:
                answer.write(json.dumps(traceback.format_exc()).encode())
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return {"killed": killed, "failed": status != 0 and not killed, "said": json.loads(said or "0")}


def main(orders: Iterable[str]) -> None:
    """Carry out orders, one after another, until there are no more."""
    for order in orders:
        sys.stdout.write(json.dumps(_answer(json.loads(order))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.stdin)
