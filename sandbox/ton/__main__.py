"""`python -m sandbox.ton`: run the chain until told to stop.

Prints `ready http://127.0.0.1:PORT` when it answers. Ends with SIGTERM or SIGINT, and with the
process that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
from pathlib import Path

from sandbox.ton.application import Application
from sandbox.ton.chain import Chain
from sandbox.ton.executor import Executor
from sandbox.ton.http_server import start_server
from sandbox.ton.journal import Journal

_HOST = "127.0.0.1"
_PARENT_CHECK_S = 0.5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.ton", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (default)")
    parser.add_argument(
        "--block-ms", type=int, default=500, help="time between blocks; 0: only when ordered"
    )
    parser.add_argument("--indexer-lag-ms", type=int, default=0, help="how far v3 is behind v2")
    parser.add_argument(
        "--rps", type=int, default=0, help="calls a second without an API key; ten times with one"
    )
    parser.add_argument("--journal", type=Path, help="file that keeps the chain over restarts")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    parent = os.getppid()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    chain = Chain(Executor(), Journal(arguments.journal))
    application = Application(
        chain, indexer_lag_s=arguments.indexer_lag_ms / 1000, calls_per_s=arguments.rps
    )
    server = await start_server(application, _HOST, arguments.port)
    tasks = [asyncio.create_task(_until_orphaned(parent, stopped))]
    if arguments.block_ms:
        tasks.append(asyncio.create_task(_make_blocks(chain, arguments.block_ms / 1000)))
    print(f"ready http://{_HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
    ended, _ = await asyncio.wait(
        [*tasks, asyncio.create_task(stopped.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    server.close()
    for task in ended:
        task.result()


async def _make_blocks(chain: Chain, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        chain.mine()


async def _until_orphaned(parent: int, stopped: asyncio.Event) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_CHECK_S)
    stopped.set()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(_arguments()))
