"""Whether this installation can do its work."""

from __future__ import annotations

import sys
import textwrap
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import translation

from ops.preflight import NAMES, Told, Verdict, look

WIDTH = 96
_INDENT = 21


class Command(BaseCommand):
    """A line per look, with the fix under what failed. Exit code 1 if anything failed.

    Run it in each container: what a role does not know is SKIPPED there, and never a pass.
    """

    help = "Look at settings, connections, migrations, topics, wallet, webhook, clock and disk."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Everything, or what is named."""
        parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))

    def handle(self, *args: Any, **options: Any) -> None:
        """Look and print."""
        if unknown := set(options["names"]) - set(NAMES):
            raise CommandError(
                f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}"
            )
        with translation.override("en"):
            told = look(options["names"])
        print(f"advertmarket {settings.TON_NETWORK}, role {settings.PROCESS_ROLE}")
        for one in told:
            _print(one)
        count = {verdict: sum(one.verdict is verdict for one in told) for verdict in Verdict}
        print(", ".join(f"{number} {verdict}" for verdict, number in count.items()))
        if count[Verdict.FAIL]:
            sys.exit(1)


def _print(told: Told) -> None:
    _print_wrapped(f"{told.verdict:<7}  {told.name:<11} ", told.says)
    if told.fix:
        _print_wrapped(f"{'fix:':>{_INDENT - 1}} ", told.fix)


def _print_wrapped(head: str, text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=" " * _INDENT))
