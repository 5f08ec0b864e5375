"""Who did what, when and why; the table only grows."""

from __future__ import annotations

from typing import ClassVar

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q


class AuditEntry(models.Model):
    """What an actor did to an object, and what that changed. Triggers refuse to change it."""

    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField(max_length=64)
    action = models.CharField(max_length=100)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=100)
    before = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    after = models.JSONField(null=True, encoder=DjangoJSONEncoder)
    reason = models.TextField(blank=True)
    ip_address = models.GenericIPAddressField(null=True)
    correlation_id = models.UUIDField()

    class Meta:
        db_table = "audit_log"
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["object_type", "object_id", "id"], name="audit_of_object"),
            models.Index(fields=["actor_kind", "actor_id", "id"], name="audit_of_actor"),
            models.Index(fields=["correlation_id"], name="audit_of_request"),
        ]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(actor_kind__in=["user", "operator", "system"]),
                name="audit_actor_kind_known",
            )
        ]
