"""Who is connected to the database, what they do, and who waits for whom."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.reasons import stated

from .query import rows

_BACKENDS = """
SELECT pid, application_name, coalesce(state, ''),
       extract(epoch FROM clock_timestamp() - xact_start),
       extract(epoch FROM clock_timestamp() - query_start),
       pg_blocking_pids(pid), regexp_replace(query, '\\s+', ' ', 'g')
  FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
 ORDER BY xact_start NULLS LAST, pid
"""

_LIMITS = """
SELECT count(*), current_setting('max_connections')::int,
       current_setting('superuser_reserved_connections')::int
  FROM pg_stat_activity WHERE backend_type = 'client backend'
"""

_ONE = """
SELECT application_name, state FROM pg_stat_activity
 WHERE pid = %(pid)s AND datname = current_database() AND backend_type = 'client backend'
   AND pid <> pg_backend_pid()
"""


class NoSuchBackend(DomainError):
    """Nobody is connected to this database under this number."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("No connection to this database has the number {pid}.")


@dataclass(frozen=True)
class Backend:
    """One connection, as PostgreSQL sees it; ages in seconds, None where nothing runs.

    `blocked_by`: the numbers of those whose locks it waits for.
    """

    pid: int
    application: str
    state: str
    transaction_s: float | None
    query_s: float | None
    blocked_by: tuple[int, ...]
    query: str


@dataclass(frozen=True)
class Limits:
    """How many are connected to the server, how many may be, and how many of those superusers."""

    used: int
    most: int
    reserved: int


def backends() -> list[Backend]:
    """Return everybody else who is connected to this database, the oldest transaction first."""
    return [
        Backend(
            pid=pid,
            application=application,
            state=state,
            transaction_s=None if transaction_s is None else float(transaction_s),
            query_s=None if query_s is None else float(query_s),
            blocked_by=tuple(blocked_by),
            query=query.strip(),
        )
        for pid, application, state, transaction_s, query_s, blocked_by, query in rows(_BACKENDS)
    ]


def limits() -> Limits:
    """Return how many connections the server has and takes."""
    [(used, most, reserved)] = rows(_LIMITS)
    return Limits(used, most, reserved)


@requires_transaction
def terminate(*, pid: int, actor: Actor, reason: str, at: dt.datetime) -> None:
    """End a connection to this database; what it had not committed is rolled back.

    Raises:
        ReasonMissing: nobody would know why.
        NoSuchBackend: nobody has this number.
    """
    why = stated(reason)
    found = rows(_ONE, {"pid": pid})
    if not found:
        raise NoSuchBackend(pid=pid)
    [(application, state)] = found
    audit.record(
        actor=actor,
        action="database.terminated",
        object_type="database_backend",
        object_id=str(pid),
        before={"application": application, "state": state},
        after=None,
        reason=why,
        at=at,
    )
    [(ended,)] = rows("SELECT pg_terminate_backend(%(pid)s)", {"pid": pid})
    if not ended:
        raise NoSuchBackend(pid=pid)
