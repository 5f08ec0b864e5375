"""Wake a Celery task soon after the commit: never inside the database transaction, never twice.

A wake is a courtesy that saves seconds. Losing one loses nothing, because Celery beat runs every
task that can be woken anyway; so a broker that is away is logged and forgotten.
"""

from __future__ import annotations

import functools
import logging
import threading
from typing import TYPE_CHECKING

from django.db import transaction
from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from celery import Task

logger = logging.getLogger(__name__)


class Waker:
    """One background thread that sends each pending task once, however often it was asked for."""

    def __init__(self) -> None:
        self._pending: dict[str, Task[[], None]] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def wake(self, task: Task[[], None]) -> None:
        """Ask for a run of `task`; returns at once."""
        with self._changed:
            self._pending[task.name] = task
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending)
                tasks, self._pending = list(self._pending.values()), {}
            for task in tasks:
                try:
                    task.apply_async(retry=False, expires=60)
                except OperationalError as error:
                    logger.warning("could not wake %s, beat will run it: %s", task.name, error)


_waker = Waker()


def wake_after_commit(task: Task[[], None]) -> None:
    """Run `task` (which takes no arguments) soon after the present database transaction commits.

    Outside one, at once. A rollback wakes nobody.
    """
    transaction.on_commit(functools.partial(_waker.wake, task), robust=True)
