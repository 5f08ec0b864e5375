"""`manage.py link_operator NAME TELEGRAM_ID`: where an operator's alarms go."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from accounts import services
from accounts.management.operators import prove_operator
from advertmarket.errors import DomainError


class Command(BaseCommand):
    """The operator proves it: the account may pause and resume payouts in their name.

    It must have written to the bot once, or Telegram lets nothing through to it.
    """

    help = "Send an operator's alarms to a Telegram account, and take its commands to the bot."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who, and the numeric id of their Telegram account."""
        parser.add_argument("username")
        parser.add_argument("telegram_id", type=int)
        parser.add_argument("--language", choices=["ru", "en"], default="ru")

    def handle(self, *args: Any, **options: Any) -> None:
        """Link them."""
        if options["telegram_id"] <= 0:
            raise CommandError("TELEGRAM_ID must be the id of a person's account, above 0")
        actor = prove_operator(options["username"])
        try:
            with transaction.atomic():
                services.link_operator(
                    username=options["username"],
                    telegram_id=options["telegram_id"],
                    language=options["language"],
                    actor=actor,
                    at=timezone.now(),
                )
        except DomainError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"alarms for {options['username']} go to {options['telegram_id']}")
