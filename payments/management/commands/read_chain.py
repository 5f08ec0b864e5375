"""Run the chain reader until SIGTERM."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import close_old_connections

from advertmarket.process import begin
from advertmarket.wake import wake_after_commit
from payments.chain.polling_reader import poll_wallets
from payments.chain.reader import read_new_blocks
from payments.tasks import apply_deposits
from payments.ton import client
from payments.ton.api import TonUnavailable
from payments.ton.client_v2 import TonClientV2

logger = logging.getLogger(__name__)

BLOCKS_PER_TURN = 100
BACKOFF_MAX_S = 30.0


class Command(BaseCommand):
    """The process of the `chain` role. It finishes the block, or wallet, in hand on SIGTERM."""

    help = "Book what happens to our wallets on chain from the cursor on, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        """Read block after block; what fails is tried again, never skipped."""
        begin("chain")
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        logger.info("chain reader started")
        reader = client.reading()
        backoff_s = settings.TON_READER_POLL_S
        while not stop.is_set():
            try:
                if isinstance(reader, TonClientV2):
                    done = poll_wallets(reader, should_stop=stop.is_set)
                else:
                    done = read_new_blocks(reader, at_most=BLOCKS_PER_TURN, should_stop=stop.is_set)
            except TonUnavailable as away:
                logger.warning("waiting %s s: %s", backoff_s, away)
                stop.wait(backoff_s)
                backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
                continue
            except Exception:  # whatever it is: a block is never skipped, and the log says why
                logger.exception("waiting %s s", backoff_s)
                close_old_connections()
                stop.wait(backoff_s)
                backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
                continue
            backoff_s = settings.TON_READER_POLL_S
            if done:
                wake_after_commit(apply_deposits)
            if done < BLOCKS_PER_TURN:
                stop.wait(settings.TON_READER_POLL_S)
        logger.info("chain reader stopped")
