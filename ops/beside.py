"""Jobs beside each other, each with a limit: one that hangs keeps nobody waiting.

A job never runs twice at the same time: as long as one hangs it counts as silent, and is not begun
anew. Its thread ends with the process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Generic, TypeVar

from django.db import connections

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Silent(Exception):
    """A job has not ended within its limit."""


class Beside(Generic[K, T]):
    """Runs jobs by their name."""

    def __init__(self) -> None:
        self._running: dict[K, Future[T]] = {}
        self._lock = threading.Lock()

    def start(self, name: K, job: Callable[[], T]) -> Future[T]:
        """Begin a job, unless the last one of this name still runs; return its future."""
        with self._lock:
            running = self._running.get(name)
            if running is None or running.done():
                running = self._running[name] = begin(job, name=f"beside {name}")
            return running

    def all(self, jobs: Mapping[K, Callable[[], T]], *, limit_s: float) -> dict[K, T | Exception]:
        """Run jobs and return what each returned or raised, or `Silent`, within `limit_s`."""
        began = time.monotonic()
        futures = {name: self.start(name, job) for name, job in jobs.items()}
        wait_for(futures.values(), timeout=limit_s)
        results: dict[K, T | Exception] = {}
        for name, future in futures.items():
            result = _result(future, began)
            results[name] = result
        return results

    def busy(self) -> set[K]:
        """Return the names of the jobs that run now."""
        return {name for name, future in list(self._running.items()) if not future.done()}

    def wait(self, *, limit_s: float) -> bool:
        """Wait for all that runs; return whether it has ended."""
        return not wait_for(list(self._running.values()), timeout=limit_s).not_done


def begin(job: Callable[[], T], *, name: str) -> Future[T]:
    """Begin a job in a thread of this name, for which no ending process waits."""
    future: Future[T] = Future()
    threading.Thread(target=_run, args=(future, job), name=name, daemon=True).start()
    return future


def _run(future: Future[T], job: Callable[[], T]) -> None:
    try:
        future.set_result(job())
    except Exception as error:
        future.set_exception(error)
    finally:
        connections.close_all()


def _result(future: Future[T], began: float) -> T | Exception:
    if not future.done():
        return Silent(f"no answer in {time.monotonic() - began:.1f} s")
    error = future.exception()
    if isinstance(error, Exception):
        return error
    return future.result()
