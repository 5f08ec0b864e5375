"""`manage.py serve`: the web role, with a shutdown that loses no request."""

from __future__ import annotations

import copy
import logging
import multiprocessing
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from granian.constants import Interfaces
from granian.server.mp import MPServer

from advertmarket.process import begin
from ops import draining

logger = logging.getLogger(__name__)

STOP_WITHIN_S = 20


class DrainingServer(MPServer):
    """On the first SIGTERM health says 503 while requests are still served, so that whoever
    balances sends no more; after SHUTDOWN_DRAIN_S the server stops when the last one is answered.
    A second signal ends the waiting.
    """

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Begin to drain, or stop draining."""
        stop = super().signal_handler_interrupt
        if draining.is_draining():
            stop()  # type: ignore[no-untyped-call]  # granian's
            return
        draining.begin()
        logger.info("draining for %s s", settings.SHUTDOWN_DRAIN_S)
        timer = threading.Timer(settings.SHUTDOWN_DRAIN_S, stop)
        timer.daemon = True
        timer.start()


class Command(BaseCommand):
    """Granian on WEB_HOST:WEB_PORT, WEB_WORKERS processes of WEB_THREADS threads."""

    help = "Serve the web role."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until a signal comes."""
        begin("web")
        multiprocessing.set_start_method("fork", force=True)  # workers share the draining flag
        DrainingServer(
            "advertmarket.wsgi:application",
            address=settings.WEB_HOST,
            port=settings.WEB_PORT,
            interface=Interfaces.WSGI,
            workers=settings.WEB_WORKERS,
            blocking_threads=settings.WEB_THREADS,
            backpressure=settings.WEB_THREADS,
            respawn_failed_workers=True,
            workers_kill_timeout=STOP_WITHIN_S,
            log_dictconfig=copy.deepcopy(settings.LOGGING),
            websockets=False,
        ).serve()
