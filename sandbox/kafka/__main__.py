"""python -m sandbox.kafka run -- pytest -m kafka."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from sandbox.process import run_command

from . import Kafka, Unavailable


def main() -> int:
    """Run a command with a fresh Kafka; without one say SKIPPED and why, which is no failure."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.kafka", description=__doc__)
    run = parser.add_subparsers(required=True).add_parser("run")
    run.add_argument("command", nargs="+", metavar="COMMAND")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="advertmarket-kafka-") as root:
        try:
            kafka = Kafka(Path(root))
        except Unavailable as reason:
            print(f"SKIPPED: no Apache Kafka here: {reason}")
            return 0
        try:
            kafka.start()
            return run_command(arguments.command, kafka.env)
        finally:
            kafka.stop()


if __name__ == "__main__":
    sys.exit(main())
