"""Lift the pause of payouts."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations
from django.db import transaction
from django.utils import timezone

from accounts.management.operators import prove_operator
from advertmarket.errors import DomainError
from payments.operations import requests
from payments.sending.pause import pause_reason, pause_state, watch_pause


class Command(BaseCommand):
    """What waited goes out in order, once. Exit code 1 if payouts are paused still."""

    help = "Let payouts, refunds and sweeps run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Who resumes, and why."""
        parser.add_argument("--operator", required=True, help="your username")
        parser.add_argument("--reason", required=True)

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Resume, or ask a second operator, and say what holds now."""
        actor = prove_operator(options["operator"])
        watch_pause(timezone.now())  # what somebody just did in Redis is a pause, too
        try:
            with transaction.atomic():
                request = requests.ask(
                    name="payouts.resume",
                    payload={"pause": pause_state().number},
                    reason=options["reason"],
                    actor=actor,
                    at=timezone.now(),
                )
        except DomainError as refusal:
            raise CommandError(str(refusal)) from refusal
        if request.needs_second:
            raise CommandError(
                "the platform paused by itself, so a second operator decides:"
                f" manage.py operate approve {request.pk} --operator OTHER"
            )
        if reason := pause_reason():
            raise CommandError(f"payouts are paused still: {reason}")
        print("payouts may run")
