"""What the settings need in a test run; no value here opens anything."""

from __future__ import annotations

import base64
from pathlib import Path

_STATIC_ROOT = Path(__file__).parent.parent / "var" / "test-static"
_STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns of a missing one

PASSWORD = "correct horse battery staple"
"""Every operator's."""

VARIABLES = {
    "OPERATOR_PASSWORD": PASSWORD,
    "OPERATOR_PASSWORD_SECOND": PASSWORD,
    "STATIC_ROOT": str(_STATIC_ROOT),
    "DJANGO_SETTINGS_MODULE": "advertmarket.settings",
    "DJANGO_SECRET_KEY": "test-django-secret-key-of-more-than-32-bytes",
    "JWT_SECRET": "test-jwt-secret-of-more-than-32-bytes",
    "EVENT_SIGNING_KEY": base64.b64encode(b"test event signing key, 32 bytes").decode(),
    "PII_ENCRYPTION_KEY": base64.b64encode(b"test pii encryption key 32 bytes").decode(),
    "PUBLIC_URL": "http://localhost",
    "TELEGRAM_BOT_TOKEN": "7000000001:test-bot-token",
    "TELEGRAM_WEBHOOK_SECRET": "test-webhook-secret-16",
    "TELEGRAM_API_URL": "http://127.0.0.1:9",  # the discard port: a test must start its own
    "TON_NETWORK": "testnet",
    "TON_API_URL": "http://127.0.0.1:9",
    "TON_API_KEY": "test-ton-api-key",
    "TON_WALLET_MNEMONIC": (
        "exact shuffle usual casual lyrics inspire "
        "mushroom neglect spot town oil crash "
        "egg brush rough way moon small "
        "scorpion rack staff bulb heavy piece"
    ),
    "TON_WALLET_PUBLIC_KEY": "4e8c9da14aa0c9fa78e7989d4fae8f673172bb87ed9bd879d450b0bb8f1add65",
}
