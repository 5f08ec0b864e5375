"""Run the checks of the books now."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from advertmarket.actors import Actor
from ops.models import ReconciliationResult, ReconciliationRun
from ops.reconciliation import AnotherRun, reconcile

_VERDICTS = {True: "pass", False: "FAIL", None: "----"}
_ACTOR = Actor.system("terminal")


class Command(BaseCommand):
    """Prints a line per check and one per finding; exit code 1 unless everything passed.

    The report is stored: Admin → Reconciliation runs.
    """

    help = "Run every check of the books on one consistent snapshot."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Choose how much is looked at; by default everything, and the chain is asked."""
        how_much = parser.add_mutually_exclusive_group()
        how_much.add_argument(
            "--incremental", action="store_true", help="what came since the checkpoint"
        )
        how_much.add_argument(
            "--without-chain", action="store_true", help="everything in the database, nothing else"
        )
        parser.add_argument(
            "--new-checkpoint",
            action="store_true",
            help="forget the checkpoint first: once it is known why check 4 fails on it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Run and report."""
        kind = ReconciliationRun.Kind.FULL
        if options["incremental"]:
            kind = ReconciliationRun.Kind.INCREMENTAL
        try:
            run = reconcile(
                kind,
                asked_by=_ACTOR,
                ask_chain=not options["without_chain"],
                forget_checkpoint=options["new_checkpoint"],
            )
        except AnotherRun as other:
            raise CommandError(str(other)) from other
        for result in run.results.order_by("number", "id"):
            _print(result)
        if run.error:
            print(f"the run broke down: {run.error}")
        if not run.passed:
            sys.exit(1)


def _print(result: ReconciliationResult) -> None:
    verdict = _VERDICTS[result.passed]
    print(f"{result.number:>2}  {verdict}  {result.severity:<8}  {result.name}")
    if result.error:
        print(f"      {result.error}")
    for subject, problem in result.rows:
        print(f"      {subject}: {problem}")
    if more := result.found - len(result.rows):
        print(f"      and {more} more")
