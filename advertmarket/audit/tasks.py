"""The periodic work of the audit log."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from . import sealer

logger = logging.getLogger(__name__)


@shared_task(name="audit.tasks.seal", ignore_result=True)
def seal() -> None:
    """Seal what was written since the last time."""
    try:
        sealer.seal(at=timezone.now())
    except sealer.ChainBroken as broken:
        logger.critical(
            "the audit log is not sealed any more: %s; run manage.py verify_audit", broken
        )
