"""Periodic work of the API."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from . import idempotency


@shared_task(name="api.tasks.forget_answers", ignore_result=True)
def forget_answers() -> None:
    """Delete the answers that no repeated request gets any more."""
    idempotency.forget_answers(at=timezone.now())
