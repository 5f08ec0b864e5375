"""Outbox, processed events and dead letters, to look at."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from advertmarket.admin import ReadOnlyAdmin

from .models import DeadLetter, OutboxMessage, ProcessedEvent


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin[OutboxMessage]):
    list_display = ["id", "event_type", "topic", "key", "status", "error", "created_at"]
    list_filter = ["status", "topic", "event_type"]
    search_fields = ["=key", "=idempotency_key", "=event_id"]
    ordering = ["-id"]


@admin.register(ProcessedEvent)
class ProcessedEventAdmin(ReadOnlyAdmin[ProcessedEvent]):
    list_display = ["id", "group", "event_id", "processed_at"]
    list_filter = ["group"]
    search_fields = ["=event_id"]
    ordering = ["-id"]


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin[DeadLetter]):
    list_display = ["id", "group", "topic", "partition", "offset", "error", "created_at"]
    list_filter = ["group", "topic"]
    ordering = ["-id"]
    readonly_fields = ["key_text", "body_text"]

    @admin.display(description=_("key"))
    def key_text(self, letter: DeadLetter) -> str:
        """The record's key, as far as it is text."""
        return _text(letter.key)

    @admin.display(description=_("body"))
    def body_text(self, letter: DeadLetter) -> str:
        """The record's bytes, as far as they are text."""
        return _text(letter.body)


def _text(value: bytes | memoryview | None) -> str:
    return "—" if value is None else bytes(value).decode(errors="backslashreplace")
