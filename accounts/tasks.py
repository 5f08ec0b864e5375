"""Periodic work of accounts."""

from __future__ import annotations

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from . import services


@shared_task(name="accounts.tasks.forget_sessions", ignore_result=True)
def forget_sessions() -> None:
    """Delete sessions that ended long ago."""
    with transaction.atomic():
        services.forget_sessions(at=timezone.now())
