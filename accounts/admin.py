"""Operators and Telegram users in the back office: read only; what changes them is an action."""

from __future__ import annotations

from django.contrib import admin

from advertmarket.admin import ReadOnlyAdmin

from .models import Operator, Session, TelegramUser


@admin.register(Operator)
class OperatorAdmin(ReadOnlyAdmin[Operator]):
    """Who works here; made by `manage.py create_operator`."""

    list_display = ["username", "is_active", "is_superuser", "last_login"]
    search_fields = ["username"]
    fields = ["username", "is_active", "is_superuser", "groups", "last_login", "date_joined"]


@admin.register(TelegramUser)
class TelegramUserAdmin(ReadOnlyAdmin[TelegramUser]):
    """Who came through Telegram."""

    list_display = ["id", "username", "first_name", "language", "blocked_at", "seen_at"]
    search_fields = ["=id", "=username"]
    ordering = ["-created_at"]


@admin.register(Session)
class SessionAdmin(ReadOnlyAdmin[Session]):
    """Who is signed in since when."""

    list_display = ["id", "user_id", "created_at", "expires_at", "revoked_at"]
    search_fields = ["=id", "=user_id"]
    fields = ["id", "user", "created_at", "expires_at", "revoked_at"]
    ordering = ["-created_at"]
