"""The launch data that Telegram signs for a Mini App.

https://core.telegram.org/bots/webapps#validating-data-received-via-the-mini-app
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from django.utils.translation import gettext_lazy as _

from advertmarket.errors import Code, DomainError

MAX_LENGTH = 8192
_MAX_FIELDS = 50
_MAX_TELEGRAM_ID = 2**52
"""Telegram promises ids of at most 52 significant bits."""


class InvalidInitData(DomainError):
    """The launch data is malformed, or this bot's token did not sign it."""

    code: ClassVar[Code] = Code.AUTH_INIT_DATA_INVALID
    message = _("The launch data was not signed by Telegram for this bot.")


@dataclass(frozen=True)
class InitData:
    """Verified launch data; `digest` (32 bytes) is the same however the same data was spelled."""

    user_id: int
    first_name: str
    username: str
    language_code: str
    signed_at: datetime
    digest: bytes


def verify_init_data(text: str, *, bot_token: str) -> InitData:
    """Return what Telegram signed; how old it may be is the caller's business.

    The HMAC covers every field but `hash`, `signature` included.

    Raises:
        InvalidInitData: malformed, a field given twice, a wrong hash, or no person in it; or we
            have no token, so that anybody could sign.
    """
    if not bot_token:
        raise InvalidInitData
    try:
        fields = _parse(text)
        given = fields.pop("hash").encode()
        signed = "\n".join(f"{name}={fields[name]}" for name in sorted(fields)).encode()
        secret = hmac.digest(b"WebAppData", bot_token.encode(), "sha256")
        if not hmac.compare_digest(hmac.new(secret, signed, "sha256").hexdigest().encode(), given):
            raise InvalidInitData
        return _read(fields, hashlib.sha256(signed).digest())
    except (
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        OverflowError,
        OSError,
        RecursionError,
    ):
        raise InvalidInitData from None


def _parse(text: str) -> dict[str, str]:
    if len(text) > MAX_LENGTH:
        raise ValueError
    pairs = parse_qsl(
        text,
        keep_blank_values=True,
        strict_parsing=True,
        errors="strict",
        max_num_fields=_MAX_FIELDS,
    )
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError
    return fields


def _read(fields: dict[str, str], digest: bytes) -> InitData:
    user: dict[str, Any] = json.loads(fields["user"])
    user_id = user["id"]
    if type(user_id) is not int or not 0 < user_id < _MAX_TELEGRAM_ID or user.get("is_bot"):
        raise ValueError
    auth_date = fields["auth_date"]
    if not (auth_date.isascii() and auth_date.isdigit()):
        raise ValueError
    return InitData(
        user_id=user_id,
        first_name=_text(user, "first_name"),
        username=_text(user, "username"),
        language_code=_text(user, "language_code"),
        signed_at=datetime.fromtimestamp(int(auth_date), UTC),
        digest=digest,
    )


def _text(user: dict[str, Any], name: str) -> str:
    value = user.get(name, "")
    if not isinstance(value, str):
        raise TypeError
    value.encode()
    return value.replace("\0", "")
