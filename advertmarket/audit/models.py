"""Who did what, when and why; the table only grows."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q


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


class AuditSeal(models.Model):
    """A block of the audit log, sealed soon after its entries were committed, and what it held.

    `ids` and `digests` name each entry and all its columns; `digest` is that of the whole block and
    of the block before it, and `mac` its seal, which the database cannot make. Triggers refuse to
    change a block.
    """

    number = models.BigIntegerField(primary_key=True)
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    entries = models.PositiveIntegerField()
    ids = ArrayField(models.BigIntegerField())
    digests = ArrayField(models.CharField(max_length=64))
    digest = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)
    sealed_at = models.DateTimeField()

    class Meta:
        db_table = "audit_seals"
        verbose_name = "audit seal"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                name="audit_seal_whole",
                condition=Q(number__gte=1, entries__gte=1, first_id__lte=F("last_id")),
            )
        ]
