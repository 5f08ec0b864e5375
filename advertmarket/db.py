"""What services may rely on: an open database transaction, and constraints that speak."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from django.db import IntegrityError, connection, transaction

from .errors import DomainError

P = ParamSpec("P")
R = TypeVar("R")


class NoDatabaseTransaction(RuntimeError):
    """A service was called outside a database transaction: what it writes could be torn apart."""


def in_transaction() -> bool:
    """Return whether product code (not a test's rollback wrapper) opened a database transaction."""
    return any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def requires_transaction(service: Callable[P, R]) -> Callable[P, R]:
    """Refuse to run `service` outside a database transaction.

    Raises:
        NoDatabaseTransaction: the caller forgot `transaction.atomic()`.
    """

    @functools.wraps(service)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        if not in_transaction():
            raise NoDatabaseTransaction(service.__qualname__)
        return service(*args, **kwargs)

    return checked


def release_connection() -> None:
    """Give the connection back to the pool before the network is asked: others need it meanwhile.

    The next query takes one again. In a database transaction this does nothing.
    """
    if not connection.in_atomic_block:
        connection.close()


@requires_transaction
def hold_name(name: str) -> None:
    """Wait for, and hold until the database transaction ends, a lock on something without a row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


_WRITERS = """
SELECT virtualtransaction FROM pg_locks
 WHERE locktype = 'relation' AND relation = %s::regclass AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND mode = 'RowExclusiveLock' AND pid IS DISTINCT FROM pg_backend_pid()
"""
_POLL_S = 0.01


def wait_for_writers(table: str, *, at_most_s: float) -> bool:
    """Return True once everyone who is writing to `table` now has committed or rolled back.

    Ids are given out before rows are committed, so a lower one may appear after a higher one. But
    whoever inserts holds the table's RowExclusiveLock from before the id is drawn until the end:
    once those who hold it now are gone, no id below one that could be seen before this call is
    still to come. Later writers are not waited for, and nobody waits for us. False: they still
    wrote after `at_most_s` seconds.
    """
    deadline = time.monotonic() + at_most_s
    with connection.cursor() as cursor:
        cursor.execute(_WRITERS, [table])
        before = writing = {name for (name,) in cursor.fetchall()}
        while writing:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
            cursor.execute(_WRITERS, [table])
            writing = before & {name for (name,) in cursor.fetchall()}
    return True


@contextmanager
def constraints(errors: Mapping[str, DomainError]) -> Iterator[None]:
    """Run a block in a savepoint; a violated constraint raises its domain error from `errors`."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as violation:
        name = getattr(getattr(violation.__cause__, "diag", None), "constraint_name", None)
        error = errors.get(name or "")
        if error is None:
            raise
        raise error from violation
