"""`manage.py generate_secrets`: the lines of a new `.env`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from ops.secrets import generate_secrets


class Command(BaseCommand):
    """Needs no configuration and touches nothing."""

    help = "Print new secrets for .env; the mnemonic belongs to the signer alone."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Print a line for each secret."""
        for name, value in generate_secrets().items():
            self.stdout.write(f'{name}="{value}"')
