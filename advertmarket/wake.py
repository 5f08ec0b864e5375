"""Wake a Celery task soon after the commit: never inside the database transaction, never twice.

A wake is a courtesy that saves seconds. Losing one loses nothing, because Celery beat runs every
task that can be woken anyway; so a broker that is away is logged and forgotten.
"""

from __future__ import annotations

import logging
import threading
import time

from celery import Task, current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


_REST_S = 0.05
"""A burst of commits costs at most 20 wakes a second, and the first of them does not wait."""


class Waker:
    """One background thread that sends each pending task once, however often it was asked for."""

    def __init__(self) -> None:
        self._pending: set[str] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def wake(self, name: str) -> None:
        """Ask for a run of the task of this name; returns at once."""
        with self._changed:
            self._pending.add(name)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending)
                names, self._pending = self._pending, set()
            for name in names:
                try:
                    current_app.send_task(name, retry=False, expires=60)
                except OperationalError as error:
                    logger.warning("could not wake %s, beat will run it: %s", name, error)
            time.sleep(_REST_S)


_waker = Waker()


def wake_after_commit(task: Task[[], None] | str) -> None:
    """Run a task (or the task of this name) soon after the present database transaction commits.

    Outside one, at once. A rollback wakes nobody. The task takes no arguments.
    """
    name = task if isinstance(task, str) else task.name

    def wake() -> None:  # no partial: of one that raises Django logs the name, which it has not
        _waker.wake(name)

    transaction.on_commit(wake, robust=True)
