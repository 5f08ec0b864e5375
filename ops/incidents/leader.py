"""One watch at a time: whoever holds an advisory lock of PostgreSQL; others stand by."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

_LOCK = 0x7761746368
"""“watch”"""


class Leadership:
    """The lock, on a connection of its own: it ends with the process, or with the connection."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection[Any] | None = None

    def hold(self) -> bool:
        """Take the lock or keep it; return whether it is ours.

        Raises:
            psycopg.Error: PostgreSQL does not answer; the lock is lost.
        """
        try:
            if self._connection is None:
                self._connection = _connect()
                if not _is_true(self._connection, "SELECT pg_try_advisory_lock(%s)", _LOCK):
                    self.let_go()
                    return False
            return _is_true(self._connection, "SELECT true")
        except psycopg.Error:
            self.let_go()
            raise

    def let_go(self) -> None:
        """Close the connection, and so give the lock to whoever stands by."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect() -> psycopg.Connection[Any]:
    wrapper = connections["default"]
    assert isinstance(wrapper, DatabaseWrapper)
    return psycopg.connect(**wrapper.get_connection_params(), autocommit=True)


def _is_true(holder: psycopg.Connection[Any], query: str, *parameters: object) -> bool:
    row = holder.execute(query, parameters or None).fetchone()
    return row is not None and bool(row[0])
