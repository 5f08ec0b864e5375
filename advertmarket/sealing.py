"""Seals: codes that stand beside what the database keeps, and that it could not make itself.

Whoever has the database alone can change rows, and cannot seal them again. The key of each purpose
is derived from EVENT_SIGNING_KEY (HKDF, RFC 5869), which every process of the product has; what
was sealed under one of OLD_EVENT_SIGNING_KEYS still counts.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


def seal(content: bytes, *, purpose: str) -> str:
    """Return the seal (hex) of `content`; that of another purpose is another one."""
    return _mac(settings.EVENT_SIGNING_KEY, content, purpose)


def is_sealed(content: bytes, mac: str, *, purpose: str) -> bool:
    """Return whether one of our keys made this seal over `content`."""
    keys = [settings.EVENT_SIGNING_KEY, *settings.OLD_EVENT_SIGNING_KEYS]
    return any(hmac.compare_digest(_mac(key, content, purpose), mac) for key in keys)


def _mac(secret: bytes, content: bytes, purpose: str) -> str:
    if not secret:
        raise RuntimeError("this process has no EVENT_SIGNING_KEY")
    derivation = HKDF(SHA256(), length=32, salt=None, info=f"advertmarket {purpose}".encode())
    return hmac.digest(derivation.derive(secret), content, "sha256").hex()
