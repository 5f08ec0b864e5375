"""The periodic work of messaging."""

from __future__ import annotations

from celery import shared_task


@shared_task(name="messaging.tasks.relay_outbox", ignore_result=True)
def relay_outbox() -> None:
    """Carry what is due in the outbox to Kafka."""
