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
from uuid import uuid4

import django
import time_machine

from tests import environment

for _name, _value in environment.VARIABLES.items():
    os.environ.setdefault(_name, _value)
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connections, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import PayoutAddress, TelegramUser  # noqa: E402
from advertmarket.actors import Actor  # noqa: E402
from payments import services, tasks  # noqa: E402
from payments.chain import reader  # noqa: E402
from payments.deposits import rule  # noqa: E402
from payments.models import Deposit, Escrow, Settlement  # noqa: E402
from payments.sending import executor, pause, settlements, transfers  # noqa: E402
from payments.sending.executor import Executor  # noqa: E402
from payments.ton.client import TonClient, TonUnavailable  # noqa: E402
from payments.ton.wallet import Signer  # noqa: E402
from tests.payments import reviews  # noqa: E402
from tests.payments.lines import Line, before, traced  # noqa: E402

ACTOR = Actor.system("test")
_signer_of = functools.cache(Signer)
_signer_of(settings.TON_WALLET_MNEMONIC)  # what takes a tenth of a second is done once, here


def _execute() -> None:
    Executor(TonClient(), _signer_of(settings.TON_WALLET_MNEMONIC)).run(at_most=10)


def _read() -> None:
    with contextlib.suppress(TonUnavailable):
        reader.read_new_blocks(TonClient(), at_most=1000)


def _read_until_asked_to_stop() -> None:
    reader.read_new_blocks(TonClient(), at_most=1000, should_stop=lambda: True)


def _read_far_behind() -> None:
    reader.FAR_BEHIND_BLOCKS = 1
    _read()


def _execute_with_little_gas() -> None:
    for module in (executor, transfers):
        vars(module).update(MAX_TOP_UP_NANO=1)
    _execute()


def _hear_of_deposits() -> None:
    for deposit_id in [*Deposit.objects.values_list("pk", flat=True), 0]:
        with transaction.atomic():
            rule.apply_rule(deposit_id=deposit_id, at=timezone.now())


def _the_last_deal() -> Escrow:
    return Escrow.objects.latest("opened_at")


def _the_last_owner() -> int:
    return PayoutAddress.objects.latest("changed_at").user_id


def _open() -> None:
    services.open_escrow(
        reference=uuid4(),
        price_nano=1_000_000_000,
        payment_deadline_at=timezone.now() + dt.timedelta(days=1),
        actor=ACTOR,
        at=timezone.now(),
    )


def _give_refund_address() -> None:
    services.set_refund_destination(
        reference=_the_last_deal().reference,
        user_id=TelegramUser.objects.latest("pk").pk,
        address="0:" + "1" * 64,
        comment="",
        typed_by_hand=True,
        actor=ACTOR,
        at=timezone.now(),
    )


def _close() -> None:
    with contextlib.suppress(services.EscrowNotEmpty, services.ChainBehind):
        services.close_escrow(reference=_the_last_deal().reference, actor=ACTOR, at=timezone.now())


def _release() -> None:
    services.release_escrow(
        reference=_the_last_deal().reference,
        owner_id=_the_last_owner(),
        owner_share_nano=_the_last_deal().price_nano * 9 // 10,
        actor=ACTOR,
        at=timezone.now(),
    )


def _refund() -> None:
    services.refund_escrow(reference=_the_last_deal().reference, actor=ACTOR, at=timezone.now())


def _split() -> None:
    services.split_escrow(
        reference=_the_last_deal().reference,
        owner_id=_the_last_owner(),
        owner_gross_nano=_the_last_deal().price_nano // 2,
        commission_rate_bp=1_000,
        actor=ACTOR,
        at=timezone.now(),
    )


def _retry() -> None:
    stopped = Settlement.objects.filter(state=Settlement.State.NEEDS_OPERATOR)
    settlement = settlements.lock(stopped.latest("created_at").pk)
    settlements.requeue(settlement=settlement, at=timezone.now())


def _confirm_epoch() -> None:
    pause.confirm_epoch(actor=ACTOR, reason="test", at=timezone.now())


ACTS: dict[str, Callable[[], None]] = {
    "execute": _execute,
    "read": _read,
    "read_until_asked_to_stop": _read_until_asked_to_stop,
    "read_far_behind": _read_far_behind,
    "execute_with_little_gas": _execute_with_little_gas,
    "hear_of_deposits": _hear_of_deposits,
    "apply_deposits": tasks.apply_deposits,
    "return_stale_partials": tasks.return_stale_partials,
    "sweep": tasks.sweep_commission,
    "remind": tasks.remind,
    "open": transaction.atomic(_open),
    "give_refund_address": transaction.atomic(_give_refund_address),
    "close": transaction.atomic(_close),
    "release": transaction.atomic(_release),
    "refund": transaction.atomic(_refund),
    "split": transaction.atomic(_split),
    "reject": reviews.reject,
    "retry": transaction.atomic(_retry),
    "confirm_epoch": transaction.atomic(_confirm_epoch),
}
"""What is done about a deal is done about the one that was opened last."""


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
