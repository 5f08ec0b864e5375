"""Say that Redis may be trusted with the pause: at installation, or when it lost its memory."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from advertmarket.actors import Actor
from payments import pause
from payments.models import PauseEpoch


class Command(BaseCommand):
    """Payouts run again afterwards, unless the pause flag is set."""

    help = "Write a new epoch to PostgreSQL and Redis, so that payouts may run."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Name the operator and the reason; installation alone needs neither."""
        parser.add_argument("--operator", help="username of the operator who confirms")
        parser.add_argument("--reason", default="installation")

    def handle(self, *args: Any, **options: Any) -> None:
        """Confirm, and say what holds now."""
        name = options["operator"]
        if name is None and PauseEpoch.objects.exists():
            raise CommandError("an epoch exists: name the --operator who confirms, and a --reason")
        actor = Actor.system("installation")
        if name is not None:
            operator = get_user_model().objects.filter(username=name, is_active=True).first()
            if operator is None:
                raise CommandError(f"there is no active operator {name}")
            actor = Actor.operator(operator.pk)
        with transaction.atomic():
            pause.confirm_epoch(actor=actor, reason=options["reason"], at=timezone.now())
        print(pause.pause_reason() or "payouts may run")
