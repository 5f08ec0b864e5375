"""What a Mini App is given at its start: https://core.telegram.org/bots/webapps#initializing-mini-apps."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox.telegram.model import Json

# Telegram signs with a key of its own for third parties; the sandbox's is derived from the token
_SIGNING_CONTEXT = b"sandbox.telegram third-party signature"


def sign_init_data(token: str, user: Json, *, auth_date: int, start_param: str = "") -> str:
    """Return signed `initData` for this WebAppUser at this Unix time.

    `hash` is HMAC-SHA256 of the other fields (sorted, one per line) under the key
    HMAC-SHA256("WebAppData", token); `signature` is Ed25519 over the bot id, ":WebAppData" and the
    fields but `hash` and `signature`, and is itself covered by `hash`.
    """
    fields = {
        "query_id": f"AA{secrets.token_urlsafe(16)}",
        "user": json.dumps(user, ensure_ascii=False, separators=(",", ":")),
        "auth_date": str(auth_date),
    }
    if start_param:
        fields["start_param"] = start_param
    bot_id = token.partition(":")[0]
    signed = f"{bot_id}:WebAppData\n{_lines(fields)}".encode()
    signature = third_party_key(token).sign(signed)
    fields["signature"] = base64.urlsafe_b64encode(signature).decode().rstrip("=")
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    fields["hash"] = hmac.new(key, _lines(fields).encode(), hashlib.sha256).hexdigest()
    return urlencode(fields)


def third_party_key(token: str) -> Ed25519PrivateKey:
    """Return the key that stands for Telegram's own."""
    seed = hashlib.sha256(_SIGNING_CONTEXT + token.encode()).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def _lines(fields: dict[str, str]) -> str:
    return "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
