"""The periodic work of messaging."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from . import redelivery, relay, retention


@shared_task(name="messaging.tasks.relay_outbox", ignore_result=True)
def relay_outbox() -> None:
    """Carry what is due in the outbox to Kafka."""
    relay.relay()


@shared_task(name="messaging.tasks.redeliver", ignore_result=True)
def redeliver() -> None:
    """Have the relay send again what consumers have not handled."""
    redelivery.redeliver(at=timezone.now())


@shared_task(name="messaging.tasks.delete_old_rows", ignore_result=True)
def delete_old_rows() -> None:
    """Delete what the outbox and the consumers no longer need."""
    retention.delete_old_rows(at=timezone.now())
