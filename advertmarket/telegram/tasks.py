"""The periodic work of Telegram: each task can be woken, and is run by beat anyway."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from . import inbox, outgoing
from .client import bot
from .errors import TelegramError
from .metrics import WEBHOOK_ERROR_AGE_S, WEBHOOK_PENDING

logger = logging.getLogger(__name__)


@shared_task(name=inbox.HANDLE, ignore_result=True)
def handle_updates() -> None:
    """Handle every update that is due."""
    while inbox.handle_next(at=timezone.now()):
        pass


@shared_task(name=outgoing.SEND, ignore_result=True)
def send_messages() -> None:
    """Send every message that is due."""
    outgoing.send_due(clock=timezone.now)


@shared_task(name="telegram.tasks.forget_old_rows", ignore_result=True)
def forget_old_rows() -> None:
    """Delete updates and messages that can no longer matter."""
    with transaction.atomic():
        inbox.forget_old(at=timezone.now())
    with transaction.atomic():
        outgoing.forget_old(at=timezone.now())


@shared_task(name="telegram.tasks.watch_webhook", ignore_result=True)
def watch_webhook() -> None:
    """Measure how the webhook does, as Telegram sees it."""
    try:
        info = bot().get_webhook_info()
    except TelegramError as error:
        logger.warning("Telegram does not tell how the webhook does: %s", error)
        return
    WEBHOOK_PENDING.set(info.pending)
    failed_at = info.last_error_at
    WEBHOOK_ERROR_AGE_S.set((timezone.now() - failed_at).total_seconds() if failed_at else -1)
