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
        """Print a line for each secret; the mnemonic apart, for the signer's own file."""
        secrets = generate_secrets()
        mnemonic = secrets.pop("TON_WALLET_MNEMONIC")
        for name, value in secrets.items():
            self.stdout.write(f'{name}="{value}"')
        self.stdout.write(
            "\n# for the signer's environment alone: the other processes refuse to start with it."
            "\n# Keep a copy off line; without it the money in the wallets is lost."
        )
        self.stdout.write(f'TON_WALLET_MNEMONIC="{mnemonic}"')
