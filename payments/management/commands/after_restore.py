"""The first thing to run on a database restored from a backup, while nothing else runs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone

from payments.restore import after_restore
from payments.sending import pause


class Command(BaseCommand):
    """Afterwards start the chain reader; payouts stay paused."""

    help = "Pause payouts, and pass over the addresses that may have been given out."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """More deals than `--skip` cannot have been opened since the backup."""
        parser.add_argument("--skip", type=int, default=10_000)

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, and say what holds now."""
        if options["skip"] < 1:
            raise CommandError("--skip: at least 1")
        with transaction.atomic():
            last = after_restore(skip=options["skip"], at=timezone.now())
        print(f"no deal gets a subwallet up to {last}; they are followed")
        print(f"payouts are paused: {pause.pause_reason()}")
