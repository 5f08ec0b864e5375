"""`python -m tests.deals.dying_publisher FILE NUMBER HIT`: publishes, and is killed at a line.

Database, Telegram and verifier chat come from the environment, as in production.
"""

from __future__ import annotations

import functools
import os
import signal
import sys

import django

from tests import environment

for _name, _value in environment.VARIABLES.items():
    os.environ.setdefault(_name, _value)
django.setup()

from deals.delivery.publisher import Publisher  # noqa: E402
from tests.payments.lines import Line, before  # noqa: E402


def main(file: str, number: str, hit: str) -> None:
    """Do a publisher's work; the line kills this process."""
    with before(
        Line(file, int(number), int(hit)), functools.partial(os.kill, os.getpid(), signal.SIGKILL)
    ):
        Publisher().run(at_most=10)


if __name__ == "__main__":
    main(*sys.argv[1:])
