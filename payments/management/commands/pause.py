"""Stop every broadcast of money."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations
from django.db import transaction
from django.utils import timezone

from accounts.management.operators import prove_operator
from advertmarket.errors import DomainError
from payments.operations import requests
from payments.sending.pause import pause_reason


class Command(BaseCommand):
    """It holds from the end of this command on, whether or not Redis can be reached."""

    help = "Pause payouts, refunds and sweeps; deposits go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who pauses, and why."""
        parser.add_argument("--operator", required=True, help="your username")
        parser.add_argument("--reason", required=True)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Pause, and say what holds now."""
        actor = prove_operator(options["operator"])
        try:
            with transaction.atomic():
                requests.ask(
                    name="payouts.pause",
                    payload={},
                    reason=options["reason"],
                    actor=actor,
                    at=timezone.now(),
                )
        except DomainError as refusal:
            raise CommandError(str(refusal)) from refusal
        print(f"payouts are paused: {pause_reason()}")
