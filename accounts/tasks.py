"""Periodic work of accounts."""

from __future__ import annotations

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from . import proofs, services, throttle


@shared_task(name="accounts.tasks.forget_sessions", ignore_result=True)
def forget_sessions() -> None:
    """Delete sessions that ended, proofs not given, and wrong passwords tried long ago."""
    at = timezone.now()
    with transaction.atomic():
        services.forget_sessions(at=at)
    with transaction.atomic():
        throttle.forget(at=at)
    with transaction.atomic():
        proofs.forget(at=at)
