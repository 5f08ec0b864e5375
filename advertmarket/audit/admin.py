"""The audit log in the back office: read only."""

from __future__ import annotations

from django.contrib import admin

from advertmarket.admin import ReadOnlyAdmin

from .models import AuditEntry, AuditSeal


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    """Newest first; found by object, actor or correlation id."""

    list_display = ["at", "actor_kind", "actor_id", "action", "object_type", "object_id", "reason"]
    list_filter = ["actor_kind", "object_type"]
    search_fields = ["=object_id", "=actor_id", "=correlation_id"]
    ordering = ["-id"]


@admin.register(AuditSeal)
class AuditSealAdmin(ReadOnlyAdmin[AuditSeal]):
    """The blocks in which the audit log is sealed, newest first."""

    list_display = ["number", "first_id", "last_id", "entries", "digest", "sealed_at"]
    ordering = ["-number"]
    exclude = ["ids", "digests"]
