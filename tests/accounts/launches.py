"""Launch data as Telegram makes it, signed with the tests' bot token."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime
from urllib.parse import urlencode

from django.conf import settings


def sign(fields: dict[str, str], *, bot_token: str | None = None) -> str:
    """Return the query string with its `hash`, by the letter of Telegram's documentation."""
    lines = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()))
    token = settings.TELEGRAM_BOT_TOKEN if bot_token is None else bot_token
    secret = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    return urlencode(
        {**fields, "hash": hmac.new(secret, lines.encode(), hashlib.sha256).hexdigest()}
    )


def launch(user_id: int, *, at: datetime, language_code: str = "en", **user: object) -> str:
    """Return valid launch data of a user, signed at `at`."""
    person = {"id": user_id, "first_name": "Ann", "language_code": language_code, **user}
    return sign(
        {
            "auth_date": str(int(at.timestamp())),
            "query_id": "AAHdF6IQAAAAAN0XohDhrOrc",
            "signature": "c2lnbmF0dXJl",
            "user": json.dumps(person),
        }
    )
