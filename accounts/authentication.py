"""Who asks: the bearer token of a Telegram user's session."""

from __future__ import annotations

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from . import selectors
from .models import TelegramUser
from .tokens import InvalidToken


class BearerAuthentication(BaseAuthentication):
    """`Authorization: Bearer <token>`, checked against the session in PostgreSQL every time.

    There is no cache: a block counts from the next request, so the user's row is read anyway, and
    the session comes with it. So a revoked token is refused at once, by every process.
    """

    def authenticate(self, request: Request) -> tuple[TelegramUser, str] | None:
        """Return the user and the token; None without the header.

        Raises:
            InvalidToken, TokenExpired, UserBlocked: as `selectors.authenticate`.
        """
        words = get_authorization_header(request).split()
        if not words:
            return None
        if len(words) != 2 or words[0].lower() != b"bearer":
            raise InvalidToken
        token = words[1].decode("latin-1")
        return selectors.authenticate(token, at=timezone.now()), token

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return "Bearer"
