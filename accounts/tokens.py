"""Access tokens: JWT, HS256. The key id names the secret, so an old one still verifies."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import jwt
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from advertmarket.errors import Code, DomainError

_ALGORITHM = "HS256"


class InvalidToken(DomainError):
    """The token is not ours, its session is gone, or its user is."""

    code: ClassVar[Code] = Code.AUTH_INVALID_TOKEN
    message = _("Sign in again.")


class TokenExpired(DomainError):
    """The token's time is over."""

    code: ClassVar[Code] = Code.AUTH_TOKEN_EXPIRED
    message = _("The session has ended; reopen the app from Telegram.")


@dataclass(frozen=True)
class Claims:
    """Whose session a token stands for; times in whole seconds."""

    session_id: uuid.UUID
    user_id: int
    issued_at: datetime
    expires_at: datetime


def issue_token(claims: Claims) -> str:
    """Return the token: the same claims give the same token while the secret is the same."""
    payload = {
        "jti": str(claims.session_id),
        "sub": str(claims.user_id),
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
    }
    secret = settings.JWT_SECRET
    return jwt.encode(payload, secret, _ALGORITHM, headers={"kid": _key_id(secret)})


def read_token(token: str, *, at: datetime) -> Claims:
    """Return what a token of ours says.

    Raises:
        InvalidToken: another algorithm, an unknown key, a wrong signature, or missing claims.
        TokenExpired: it was valid, before `at`.
    """
    try:
        key_id = jwt.get_unverified_header(token)["kid"]
        payload = jwt.decode(
            token,
            _secrets()[key_id],
            algorithms=[_ALGORITHM],
            options={
                "require": ["jti", "sub", "iat", "exp"],
                "verify_exp": False,
                "verify_iat": False,
                "enforce_minimum_key_length": True,
            },
        )
        claims = Claims(
            session_id=uuid.UUID(payload["jti"]),
            user_id=int(payload["sub"]),
            issued_at=datetime.fromtimestamp(payload["iat"], UTC),
            expires_at=datetime.fromtimestamp(payload["exp"], UTC),
        )
    except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError, OverflowError):
        raise InvalidToken from None
    if claims.expires_at <= at:
        raise TokenExpired
    return claims


def _secrets() -> dict[str, str]:
    return {_key_id(secret): secret for secret in [*settings.OLD_JWT_SECRETS, settings.JWT_SECRET]}


def _key_id(secret: str) -> str:
    return hashlib.sha256(b"jwt key id:" + secret.encode()).hexdigest()[:16]
