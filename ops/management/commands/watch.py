"""The process of the `watch` role: it wakes people."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from advertmarket.process import begin
from ops.incidents.watch import Watch
from ops.metrics import state

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Until SIGTERM. One tells people; any other stands by until that one is gone."""

    help = "Watch over everything and tell operators what is wrong, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        """Watch."""
        begin("watch")
        if settings.METRICS_PORT:
            state.register()
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        logger.info("watch started")
        Watch(timezone.now).run(stop)
        logger.info("watch stopped")
