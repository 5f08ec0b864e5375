"""The vault of personal data: AES-256-GCM under PII_ENCRYPTION_KEY, older keys for reading.

The user and the field are associated data: a ciphertext moved to another row does not decrypt.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from .models import Pii

NONCE_BYTES = 12


class Unreadable(RuntimeError):
    """A stored value does not decrypt: its key is missing, or the row was tampered with."""


def keep(*, user_id: int, field: str, value: dict[str, Any], at: datetime) -> None:
    """Encrypt `value` into the user's field, in place of what was there."""
    key = settings.PII_ENCRYPTION_KEY
    nonce = os.urandom(NONCE_BYTES)
    plain = json.dumps(value, ensure_ascii=False, sort_keys=True).encode()
    Pii.objects.update_or_create(
        user_id=user_id,
        field=field,
        defaults={
            "key_version": key_version(key),
            "nonce": nonce,
            "ciphertext": AESGCM(key).encrypt(nonce, plain, _bound_to(user_id, field)),
            "updated_at": at,
        },
    )


def read(*, user_id: int, field: str) -> dict[str, Any] | None:
    """Return the value of the user's field, or None.

    Raises:
        Unreadable: no key opens it.
    """
    row = Pii.objects.filter(user_id=user_id, field=field).first()
    if row is None:
        return None
    key = _keys().get(row.key_version)
    if key is None:
        raise Unreadable(f"no key of version {row.key_version}")
    try:
        plain = AESGCM(key).decrypt(
            bytes(row.nonce), bytes(row.ciphertext), _bound_to(user_id, field)
        )
    except InvalidTag:
        raise Unreadable(f"{field} of user {user_id} was tampered with") from None
    value: dict[str, Any] = json.loads(plain)
    return value


def key_version(key: bytes) -> str:
    """Return the name under which rows remember their key."""
    return hashlib.sha256(b"pii key version:" + key).hexdigest()[:16]


def _keys() -> dict[str, bytes]:
    keys = [*settings.OLD_PII_ENCRYPTION_KEYS, settings.PII_ENCRYPTION_KEY]
    return {key_version(key): key for key in keys}


def _bound_to(user_id: int, field: str) -> bytes:
    return f"pii:{user_id}:{field}".encode()
