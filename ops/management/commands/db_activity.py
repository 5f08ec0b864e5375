"""Who is connected to the database: for a pool that is exhausted, and locks that are not let go."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, no_translations
from django.db import DatabaseError, transaction
from django.utils import timezone

from accounts.management.operators import prove_operator
from advertmarket.errors import DomainError
from ops.activity import Backend, backends, limits, terminate
from ops.beside import begin
from ops.own_connection import on_own_connection
from payments.operations.requests import OPERATE

WIDTH = 96
LIMIT_S = 5.0


class Command(BaseCommand):
    """The oldest database transaction first; those that do nothing are counted only."""

    help = "Say who is connected to the database, or end a connection."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whom to end, who does it, and why."""
        parser.add_argument("--terminate", type=int, metavar="PID", help="end this connection")
        parser.add_argument("--operator", help="your username, to --terminate")
        parser.add_argument("--reason", help="why, to --terminate")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Show or end."""
        try:
            if options["terminate"] is None:
                self._show()
            else:
                self._terminate(options)
        except DatabaseError as away:
            raise CommandError(f"PostgreSQL: {' '.join(str(away).split())}") from away

    def _show(self) -> None:
        look = on_own_connection(lambda: (backends(), limits()), limit_s=LIMIT_S)
        everybody, limit = begin(look, name="db_activity").result()
        print(
            f"{limit.used} of {limit.most} connections, {limit.reserved} of them for superusers;"
            f" a process takes up to {settings.DB_POOL_MAX} (DB_POOL_MAX)"
        )
        names = {backend.pid: backend.application for backend in everybody}
        for application, count in sorted(Counter(names.values()).items()):
            print(f"  {count:>4}  {application or '(no name)'}")
        print(f"{'pid':>8}  {'transaction':>11}  {'query':>8}  state")
        for backend in everybody:
            if backend.state != "idle":
                for line in _lines(backend, names):
                    print(line[:WIDTH].rstrip())

    def _terminate(self, options: dict[str, Any]) -> None:
        if not (options["operator"] and options["reason"]):
            raise CommandError("--terminate is audited: name the --operator, and a --reason")
        actor = prove_operator(options["operator"], permission=OPERATE)
        try:
            with transaction.atomic():
                terminate(
                    pid=options["terminate"],
                    actor=actor,
                    reason=options["reason"],
                    at=timezone.now(),
                )
        except DomainError as refusal:
            raise CommandError(str(refusal)) from refusal
        print(f"{options['terminate']} was ended; what it had not committed is rolled back")


def _lines(backend: Backend, names: dict[int, str]) -> Iterator[str]:
    yield (
        f"{backend.pid:>8}  {_seconds(backend.transaction_s):>11}  {_seconds(backend.query_s):>8}"
        f"  {backend.state}, {backend.application}"
    )
    for pid in backend.blocked_by:
        yield f"          waits for {pid} ({names.get(pid, 'another database')})"
    yield f"          {backend.query}"


def _seconds(age_s: float | None) -> str:
    return "—" if age_s is None else f"{age_s:.1f} s"
