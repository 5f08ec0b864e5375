"""Say that Redis may be trusted with the pause: at installation, or when it lost its memory."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations
from django.db import transaction
from django.utils import timezone

from accounts.management.operators import SECOND_PASSWORD_VARIABLE, prove_operator
from advertmarket.actors import Actor
from payments.models import PauseEpoch
from payments.operations.requests import APPROVE, OPERATE
from payments.sending import pause


class Command(BaseCommand):
    """Payouts run again afterwards, unless the pause flag is set."""

    help = "Write a new epoch to PostgreSQL and Redis, so that payouts may run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the operator and the reason; installation alone needs neither."""
        parser.add_argument("--operator", help="username of the operator who confirms")
        parser.add_argument("--second", help="username of another operator, after a restore")
        parser.add_argument("--reason", default="installation")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Confirm, and say what holds now."""
        name, second = options["operator"], options["second"]
        if name is None and PauseEpoch.objects.exists():
            raise CommandError("an epoch exists: name the --operator who confirms, and a --reason")
        actor, agrees = Actor.system("installation"), None
        if name is not None:
            actor = prove_operator(name, permission=OPERATE)
        if second is not None:
            agrees = prove_operator(second, permission=APPROVE, variable=SECOND_PASSWORD_VARIABLE)
        with transaction.atomic():
            try:
                pause.confirm_epoch(
                    actor=actor,
                    second=agrees,
                    reason=options["reason"],
                    at=timezone.now(),
                )
            except pause.SecondOperatorNeeded as needed:
                raise CommandError(f"{needed} Name --operator and --second.") from needed
        print(pause.pause_reason() or "payouts may run")
