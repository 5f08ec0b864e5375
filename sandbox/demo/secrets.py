"""What an installation of one's own has in its `.env`, made up anew."""

from __future__ import annotations

import base64
import secrets

from payments.ton.wallet import new_mnemonic, public_key_of


def make_secrets() -> dict[str, str]:
    """Return random values for every secret that the product's settings name."""
    mnemonic = new_mnemonic()
    return {
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "EVENT_SIGNING_KEY": _key(),
        "PII_ENCRYPTION_KEY": _key(),
        "TELEGRAM_BOT_TOKEN": f"{secrets.randbelow(10**10):010d}:{secrets.token_urlsafe(26)}",
        "TELEGRAM_WEBHOOK_SECRET": secrets.token_hex(24),
        "TON_API_KEY": secrets.token_hex(16),
        "TON_WALLET_MNEMONIC": mnemonic,
        "TON_WALLET_PUBLIC_KEY": public_key_of(mnemonic),
    }


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
