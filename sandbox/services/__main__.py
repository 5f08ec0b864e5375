"""python -m sandbox.services run -- pytest; python -m sandbox.services up --dir var/services."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from sandbox.process import ChildFailed, run_command, stop_requested
from sandbox.scratch import scratch_dir

from . import Services
from .binaries import MissingWheel


def main() -> int:
    """Run the services for as long as a command runs, or until a signal."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.services", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="run a command with the services in its environment")
    run.add_argument("--dir", type=Path, help="keep the data there")
    run.add_argument("--ephemeral", action="store_true", help="keep nothing (without --dir)")
    run.add_argument("command", nargs="+", metavar="COMMAND")
    up = verbs.add_parser("up", help="print the environment and stay up")
    up.add_argument("--dir", type=Path, required=True, help="keep the data there")
    arguments = parser.parse_args()

    ephemeral = arguments.dir is None or (arguments.verb == "run" and arguments.ephemeral)
    root = arguments.dir or scratch_dir()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with Services(root, ephemeral=ephemeral) as services:
        if arguments.verb == "run":
            return run_command(arguments.command, services.env)
        with stop_requested() as requested:
            lines = (f"{name}={value}" for name, value in services.env.items())
            print(*lines, sep="\n", flush=True)
            while not requested.wait(0.5) and not services.dead():
                pass
        if dead := services.dead():
            print(f"ended by itself: {', '.join(dead)}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ChildFailed, MissingWheel) as failure:
        sys.exit(f"the services did not start: {failure}")
