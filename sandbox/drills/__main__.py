"""python -m sandbox.drills [N...]: hold the drills of the runbook's failures, or all ten."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.demo.api import ApiRefused, TookTooLong
from sandbox.demo.opening import COMPRESSED, start
from sandbox.demo.people import Market
from sandbox.demo.stack import Stack
from sandbox.process import ChildFailed
from sandbox.scratch import scratch_dir
from sandbox.ton.wallets import DidNotLand

from . import (
    books,
    connections,
    consumers,
    deposits,
    disk,
    not_starting,
    notices,
    payouts,
    redis_lost,
    webhook,
)
from .eyes import Eyes
from .operators import Operators
from .room import Room
from .script import Missing, Script, Skipped

OK, FAILED, NOT_ALL = 0, 1, 77
"""77: nothing failed, and something could not be looked at here."""


@dataclass(frozen=True)
class Drill:
    """One of the ten; `title` is its heading in docs/runbook.md."""

    number: int
    title: str
    hold: Callable[[Room], None]


DRILLS = (
    Drill(1, "It does not start", not_starting.drill),
    Drill(2, "Telegram's webhook is silent", webhook.drill),
    Drill(3, "Deposits are not detected", deposits.drill),
    Drill(4, "Payouts are stuck", payouts.drill),
    Drill(5, "Notifications are not sent", notices.drill),
    Drill(6, "The pool of database connections is exhausted", connections.drill),
    Drill(7, "Consumer lag grows", consumers.drill),
    Drill(8, "Redis is lost", redis_lost.drill),
    Drill(9, "Reconciliation failed", books.drill),
    Drill(10, "The disk is full", disk.drill),
)
_SAYS_WHY = (ApiRefused, ChildFailed, DidNotLand, Missing, TookTooLong)


def main() -> int:
    """Hold the drills; 0 if each saw what the runbook says, 1 if one did not, 77 if not all could.

    The last line of one that failed says what was missing. One alone waits for incidents that open
    after minutes only; among others it says when they are due.
    """
    parser = argparse.ArgumentParser(prog="python -m sandbox.drills", description=__doc__)
    parser.add_argument("numbers", nargs="*", type=int, metavar="N", help="1 to 10; none: all")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the processes' logs there")
    arguments = parser.parse_args()
    known = {drill.number: drill for drill in DRILLS}
    if unknown := set(arguments.numbers) - known.keys():
        parser.error(f"there is no drill {min(unknown)}")
    drills = [known[number] for number in arguments.numbers] or list(DRILLS)
    root = scratch_dir()
    try:
        return _hold_all(root, drills)
    except _SAYS_WHY as reason:
        print(f"DRILL FAILED: {_in_a_line(reason)}", flush=True)
    except subprocess.CalledProcessError as failed:
        print(f"DRILL FAILED: {' '.join(failed.cmd)}: {_in_a_line(failed.stdout)}", flush=True)
    finally:
        if arguments.logs:
            shutil.copytree(root, arguments.logs, dirs_exist_ok=True, ignore=_not_logs)
        shutil.rmtree(root, ignore_errors=True)
    return FAILED


def _hold_all(root: Path, drills: Sequence[Drill]) -> int:
    began = time.monotonic()
    with _open_room(root) as room:
        print(f"everything is up after {time.monotonic() - began:.1f} s", flush=True)
        room.eyes.patient = len(drills) == 1
        skipped = [line for drill in drills for line in _hold(room, drill)]
        print("\n== All clean", flush=True)
        room.tell(Script())
        room.resolve_incidents()
        room.prove()
    took_s = time.monotonic() - began
    print(f"\n{len(drills)} DRILLS HELD in {took_s:.0f} s", flush=True)
    for line in skipped:
        print(f"SKIPPED, and so not seen: {line}", flush=True)
    return NOT_ALL if skipped else OK


def _hold(room: Room, drill: Drill) -> list[str]:
    """Hold one; return what of it had to be skipped."""
    print(f"\n== {drill.number}. {drill.title}", flush=True)
    script = Script()
    room.begin(script)
    try:
        drill.hold(room)
    except Skipped as reason:
        script.skip(f"drill {drill.number}: {reason}")
    else:
        room.clean()
        print(f"DRILL {drill.number} OK seconds={script.seconds:.1f}", flush=True)
    return script.skipped


@contextlib.contextmanager
def _open_room(root: Path) -> Iterator[Room]:
    with contextlib.ExitStack() as opened:
        settings = dict(COMPRESSED)
        if small := opened.enter_context(disk.small_disk(root)):
            settings["DISK_PATH"] = str(small)
        stack = opened.enter_context(Stack(root, ephemeral=True, settings=settings))
        password = start(stack)
        script = Script()
        eyes = opened.enter_context(Eyes(stack, script, password))
        operators = Operators(stack, script, password)
        market = opened.enter_context(Market(stack))
        market.open()
        room = Room(stack, market, eyes, operators)
        room.settle()
        yield room


def _not_logs(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if not name.endswith(".log")}


def _in_a_line(reason: object) -> str:
    return " ".join(str(reason).split())


if __name__ == "__main__":
    sys.exit(main())
