"""The periodic work of operations: each task can be woken, and is run by beat anyway."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from advertmarket.celery import DEFAULT_QUEUE, SIGNER_QUEUE, TELEGRAM_QUEUE

from . import questions
from .models import QueueHeartbeat


@shared_task(name=questions.ANSWER, ignore_result=True)
def answer_operators() -> None:
    """Answer what operators asked the bot."""
    while questions.answer_next():
        pass


@shared_task(name="ops.tasks.tick", ignore_result=True)
def tick() -> None:
    """Say that the default queue is worked on."""
    _beat(DEFAULT_QUEUE)


@shared_task(name="ops.tasks.tick_signer", ignore_result=True)
def tick_signer() -> None:
    """Say that the signer's queue is worked on."""
    _beat(SIGNER_QUEUE)


@shared_task(name="ops.tasks.tick_telegram", ignore_result=True)
def tick_telegram() -> None:
    """Say that the queue of what waits for Telegram is worked on."""
    _beat(TELEGRAM_QUEUE)


def _beat(queue: str) -> None:
    QueueHeartbeat.objects.update_or_create(queue=queue, defaults={"beaten_at": timezone.now()})
