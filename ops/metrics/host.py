"""What the platform stands on: the disk and PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from django.conf import settings

from ops.query import rows

from . import FIVE_MINUTES_S, Row, source

_CONNECTIONS = """
SELECT coalesce(nullif(application_name, ''), 'unnamed'), count(*)
  FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1
"""

_ACTIVITY = """
SELECT current_setting('max_connections')::int,
       coalesce(extract(epoch FROM now() - min(xact_start)), 0)
  FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND datname = current_database()
"""

_SLOTS = """
SELECT slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots
"""


@source(
    needs_database=False,
    disk_size_bytes="How large the disk is that this host keeps its data on",
    disk_free_bytes="How much of it is free",
)
def disk() -> Iterable[Row]:
    """That of DISK_PATH; on one host, this container's is everybody's."""
    usage = shutil.disk_usage(settings.DISK_PATH)
    yield usage.total, usage.free


@source(
    labels=("application",), postgres_connections="Connections to PostgreSQL, by whose they are"
)
def connections() -> Iterable[Row]:
    """By their application_name."""
    return rows(_CONNECTIONS)


@source(
    postgres_connections_max="Connections that PostgreSQL allows",
    postgres_oldest_transaction_seconds="For how long the oldest database transaction is open",
)
def activity() -> Iterable[Row]:
    """This database's."""
    return rows(_ACTIVITY)


@source(keep_s=FIVE_MINUTES_S, postgres_database_bytes="How large the database is")
def database() -> Iterable[Row]:
    """Asked now and then: PostgreSQL looks at each file."""
    return rows("SELECT pg_database_size(current_database())")


@source(
    labels=("slot",),
    postgres_slot_retained_bytes="WAL that a replication slot keeps from being deleted",
)
def slots() -> Iterable[Row]:
    """None, if nothing archives or replicates through slots."""
    return rows(_SLOTS)
