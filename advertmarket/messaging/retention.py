"""Rows of messaging that can no longer matter go."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Model, QuerySet

from .models import OutboxMessage, ProcessedEvent

OUTBOX_KEPT = timedelta(days=7)
PROCESSED_KEPT = timedelta(days=30)
"""Far longer than any topic keeps a record that could be read again."""

_CHUNK = 5_000


def delete_old_rows(*, at: datetime) -> None:
    """Delete outbox rows delivered over 7 days ago, and proofs of processing over 30 days old."""
    _delete(
        OutboxMessage.objects.filter(
            status=OutboxMessage.Status.DELIVERED, delivered_at__lt=at - OUTBOX_KEPT
        )
    )
    _delete(ProcessedEvent.objects.filter(processed_at__lt=at - PROCESSED_KEPT))


def _delete(rows: QuerySet[Model]) -> None:
    """Delete in short database transactions, so that nobody waits for long."""
    model = rows.model
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:_CHUNK]):
        model._default_manager.filter(pk__in=ids).delete()
