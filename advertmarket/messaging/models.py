"""Three tables: what is to be sent, what was handled, what could not be."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

_UNSETTLED = Q(status="DELIVERED", check_at__isnull=False)


class OutboxMessage(models.Model):
    """An event, committed together with what caused it, on its way to Kafka.

    Its lane is (topic, key): within one, events reach the broker in the order of `id`. A FAILED
    row (it can never be sent as it is) holds the rest of its lane until an operator decides.
    A DELIVERED one is looked at when `check_at` comes; null says that all who handle it have it.
    """

    class Status(models.TextChoices):
        PENDING = "PENDING"
        DELIVERED = "DELIVERED"
        FAILED = "FAILED"

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    idempotency_key = models.CharField(max_length=200, unique=True)
    topic = models.CharField(max_length=100)
    key = models.UUIDField()
    event_type = models.CharField(max_length=100)
    version = models.PositiveSmallIntegerField()
    payload = models.JSONField()
    payload_digest = models.BinaryField(max_length=32)
    correlation_id = models.UUIDField()
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)
    check_at = models.DateTimeField(null=True)
    redeliveries = models.PositiveSmallIntegerField(db_default=0)

    class Meta:
        db_table = "notification_outbox"
        indexes = [
            models.Index(fields=["key"], name="outbox_key"),  # operators look for a deal's events
            models.Index(fields=["id"], name="outbox_pending", condition=Q(status="PENDING")),
            models.Index(
                fields=["topic", "key", "id"], name="outbox_failed", condition=Q(status="FAILED")
            ),
            models.Index(
                fields=["delivered_at"], name="outbox_delivered", condition=Q(status="DELIVERED")
            ),
            models.Index(fields=["check_at"], name="outbox_unsettled", condition=_UNSETTLED),
            models.Index(fields=["key"], name="outbox_unsettled_lane", condition=_UNSETTLED),
        ]
        constraints = [
            models.CheckConstraint(
                name="outbox_status_known",
                condition=Q(status__in=["PENDING", "DELIVERED", "FAILED"]),
            ),
            models.CheckConstraint(
                name="outbox_delivered_has_time",
                condition=Q(status="DELIVERED", delivered_at__isnull=False)
                | (~Q(status="DELIVERED") & Q(delivered_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="outbox_failed_has_error", condition=~Q(status="FAILED") | ~Q(error="")
            ),
        ]


class ProcessedEvent(models.Model):
    """Proof that a consumer group applied an event, written with the effect itself."""

    id = models.BigAutoField(primary_key=True)
    group = models.CharField(max_length=100)
    event_id = models.UUIDField()
    processed_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "processed_events"
        constraints = [
            models.UniqueConstraint(fields=["event_id", "group"], name="processed_event_once")
        ]


class DeadLetter(models.Model):
    """A record that a group could not apply, byte for byte, for an operator to look at.

    `event_id` is null if the record could not be trusted or read so far. `headers` is a list of
    [name, base64 of the value or null]. `written_at` is the record's own
    timestamp: with it, an offset that a rebuilt topic uses again is another record.
    """

    id = models.BigAutoField(primary_key=True)
    group = models.CharField(max_length=100)
    event_id = models.UUIDField(null=True)
    topic = models.CharField(max_length=249)
    partition = models.PositiveIntegerField()
    offset = models.PositiveBigIntegerField()
    written_at = models.DateTimeField()
    key = models.BinaryField(null=True)
    body = models.BinaryField(null=True)
    headers = models.JSONField()
    error = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        db_table = "dead_letters"
        constraints = [
            models.UniqueConstraint(
                fields=["group", "topic", "partition", "offset", "written_at"],
                name="dead_letter_once",
            ),
            models.UniqueConstraint(fields=["event_id", "group"], name="dead_letter_once_an_event"),
            models.CheckConstraint(name="dead_letter_has_error", condition=~Q(error="")),
        ]
