"""`python -m sandbox.telegram --port N [--token T] [--journal FILE]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from sandbox.process import stop_requested
from sandbox.telegram.server import DEFAULT_TOKEN, serving


def main() -> int:
    """Serve until SIGTERM or SIGINT, or until the parent process ends."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.telegram", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one (default)")
    parser.add_argument(
        "--token", default=DEFAULT_TOKEN, help="the bot's token (default: %(default)s)"
    )
    parser.add_argument("--journal", type=Path, help="the file that keeps the state over restarts")
    parser.add_argument(
        "--retry-s", type=float, default=1, help="base of the webhook's growing delay (default: 1)"
    )
    parser.add_argument(
        "--limits", action="store_true", help="enforce Telegram's sending limits from the start"
    )
    options = parser.parse_args()
    parent = os.getppid()
    with (
        stop_requested() as requested,
        serving(
            options.token,
            port=options.port,
            journal=options.journal,
            retry_s=options.retry_s,
            limits=options.limits,
        ) as server,
    ):
        print(f"ready {server.url}", flush=True)
        while not requested.wait(0.5) and os.getppid() == parent:
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
