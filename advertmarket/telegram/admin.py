"""What came from Telegram and what goes there, to look at."""

from __future__ import annotations

from django.contrib import admin

from advertmarket.admin import ReadOnlyAdmin

from .models import OutgoingMessage, Update


@admin.register(Update)
class UpdateAdmin(ReadOnlyAdmin[Update]):
    list_display = ["id", "kind", "chat_id", "state", "attempts", "error", "created_at"]
    list_filter = ["state", "kind"]
    search_fields = ["=id", "=chat_id"]
    ordering = ["-id"]


@admin.register(OutgoingMessage)
class OutgoingMessageAdmin(ReadOnlyAdmin[OutgoingMessage]):
    list_display = ["id", "chat_id", "state", "about_money", "attempts", "error", "created_at"]
    list_filter = ["state", "about_money"]
    search_fields = ["=id", "=chat_id"]
    ordering = ["-id"]
