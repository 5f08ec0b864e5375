"""Work in other threads, each with a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection, transaction

from tests.waiting import wait_until

T = TypeVar("T")

TIMEOUT_S = 20


def together(*work: Callable[[], T]) -> list[Future[T]]:
    """Do all of it at the same time and wait for the end; the futures hold results and errors."""
    start = threading.Barrier(len(work))

    def begin(one: Callable[[], T]) -> T:
        start.wait(TIMEOUT_S)
        return _with_own_connection(one)

    with ThreadPoolExecutor(len(work)) as pool:
        return [pool.submit(begin, one) for one in work]


def elsewhere(work: Callable[[], object]) -> None:
    """Do it in another thread and wait for its end; what it raises is raised here."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_with_own_connection, work).result(TIMEOUT_S)


@contextmanager
def unfinished(work: Callable[[], object]) -> Iterator[None]:
    """Another connection does it in a database transaction that commits when the block ends."""
    done, end = threading.Event(), threading.Event()

    def begin() -> None:
        with transaction.atomic():
            work()
            done.set()
            end.wait(TIMEOUT_S)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(_with_own_connection, begin)
        try:
            wait_until(lambda: done.is_set() or working.done())
            yield
        finally:
            end.set()
        working.result(TIMEOUT_S)


class Meanwhile:
    """Work that another thread begins when called, and that may have to wait for our locks."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._pool = ThreadPoolExecutor(1)
        self._future: Future[object] | None = None

    def __call__(self) -> None:
        """Begin, and return once it has ended or waits for a lock in the database."""
        future = self._future = self._pool.submit(_with_own_connection, self._work)
        elsewhere(lambda: wait_until(lambda: future.done() or _somebody_waits()))

    def result(self) -> object:
        """Wait for the end; what it raised is raised here."""
        assert self._future is not None
        self._pool.shutdown()
        return self._future.result(TIMEOUT_S)


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        (count,) = cursor.fetchone()
    return bool(count)


def _with_own_connection(work: Callable[[], T]) -> T:
    try:
        return work()
    finally:
        connection.close()
