"""`manage.py rota`: who is woken, and in which order."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone, translation

from accounts.management.operators import prove_operator
from advertmarket.errors import DomainError
from ops.incidents import rota
from payments.operations.requests import OPERATE


class Command(BaseCommand):
    """`rota` shows it, `rota set NAME[=EMAIL]...` replaces it; without one, all hear at once."""

    help = "Show or set whom alarms wake: the first at once, the next when nobody answers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who is in it, and who says so."""
        what = parser.add_subparsers(dest="what")
        what.add_parser("show", help="who is woken, first to last")
        change = what.add_parser("set", help="replace it; nobody named: everybody at once")
        change.add_argument("people", nargs="*", metavar="NAME[=EMAIL]")
        change.add_argument("--operator", required=True, help="your username")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, or say in one line why not."""
        with translation.override("en"):
            if options["what"] == "set":
                self._set(options)
            self._show()

    def _set(self, options: dict[str, Any]) -> None:
        actor = prove_operator(options["operator"], permission=OPERATE)
        entries = [tuple(person.partition("=")[::2]) for person in options["people"]]
        try:
            with transaction.atomic():
                rota.set_rota(entries=entries, actor=actor, at=timezone.now())
        except DomainError as refusal:
            raise CommandError(str(refusal)) from refusal

    def _show(self) -> None:
        people = rota.people(level=rota.levels())
        for place, person in enumerate(people, 1):
            ways = [f"Telegram {person.operator.telegram_id}"] * bool(person.operator.telegram_id)
            ways += [person.email] * bool(person.email)
            self.stdout.write(f"{place}. {person.operator.username}  {', '.join(ways)}")
        if not people:
            self.stdout.write("nobody: link_operator NAME TELEGRAM_ID, then rota set NAME...")
