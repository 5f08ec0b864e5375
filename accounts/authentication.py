"""Who asks: the bearer token of a Telegram user's session, or an operator's of the back office."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib import admin
from django.utils import timezone, translation
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    get_authorization_header,
)
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


@dataclass(frozen=True)
class OperatorCaller:
    """An operator as limits and idempotency keys count them: below zero, Telegram's ids above."""

    pk: int
    language: str


class OperatorAuthentication(SessionAuthentication):
    """The session of the back office and its CSRF token; who may enter there, may enter here."""

    def authenticate(self, request: Request) -> tuple[OperatorCaller, None] | None:
        """Return the operator; None if nobody is signed in to the back office.

        Raises:
            PermissionDenied: the CSRF token is missing or wrong.
        """
        inner = request._request
        if inner.user.pk is None or not admin.site.has_permission(inner):
            return None
        self.enforce_csrf(request)
        language = translation.get_language() or settings.LANGUAGE_CODE
        return OperatorCaller(-inner.user.pk, language), None

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return "Session"
