"""The secrets of a new installation."""

from __future__ import annotations

import base64
import secrets

from payments.ton.wallet import new_mnemonic, public_key_of


def generate_secrets() -> dict[str, str]:
    """Return new random values for every secret that can be made here, by its variable's name."""
    mnemonic = new_mnemonic()
    return {
        "DB_PASSWORD": secrets.token_urlsafe(24),
        "REDISCLI_AUTH": secrets.token_urlsafe(24),
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(48),
        "JWT_SECRET": secrets.token_urlsafe(48),
        "EVENT_SIGNING_KEY": _key_256(),
        "PII_ENCRYPTION_KEY": _key_256(),
        "TELEGRAM_WEBHOOK_SECRET": secrets.token_urlsafe(32),
        "ALERT_HOOK_SECRET": secrets.token_urlsafe(32),
        "TON_WALLET_MNEMONIC": mnemonic,
        "TON_WALLET_PUBLIC_KEY": public_key_of(mnemonic),
    }


def _key_256() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
