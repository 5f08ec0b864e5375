"""`python -m tests.payments.forks_chains`: a local chain for each order, a list of its options.

The answer is its process id and its URL. It runs until SIGTERM, or until this process ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterable

from sandbox.ton import __main__ as ton


def _start(options: list[str]) -> tuple[int, str]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(writing, 1)
        sys.argv = ["ton", *options]
        try:
            asyncio.run(ton._run(ton._arguments()))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return child, pipe.readline().removeprefix("ready ").strip()


def main(orders: Iterable[str]) -> None:
    """Start chains until there are no more orders."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    for order in orders:
        sys.stdout.write(json.dumps(_start(json.loads(order))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.stdin)
