"""What an installation of one's own has in its `.env`, made up anew."""

from __future__ import annotations

import secrets

from ops.secrets import generate_secrets

_OF_THE_SERVICES = {"DB_PASSWORD", "REDISCLI_AUTH"}


def make_secrets() -> dict[str, str]:
    """Return random values for every secret of the product; the services know their own."""
    made = {k: v for k, v in generate_secrets().items() if k not in _OF_THE_SERVICES}
    return {
        **made,
        "TELEGRAM_BOT_TOKEN": f"{secrets.randbelow(10**10):010d}:{secrets.token_urlsafe(26)}",
        "TON_API_KEY": secrets.token_hex(16),
    }
