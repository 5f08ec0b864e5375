"""Redis and its epoch, Kafka, PostgreSQL's connections, the disk. Without PostgreSQL: `outage`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from django.conf import settings
from redis.exceptions import RedisError

from advertmarket.messaging import kafka
from advertmarket.state import redis_state
from ops.health.checks import DISK_FULL_PERCENT
from ops.incidents.causes import Cause, list_of
from ops.query import rows
from payments.sending.pause import EPOCH_KEY

from . import Untold, detector

KAFKA_LIMIT_S = 3.0
CONNECTIONS_PERCENT = 80
"""With 20 % left there is time to look before anybody is refused."""

DISK_FILLING_PERCENT = 80
"""As the runbook's tenth failure has it; full it is where health says so."""

_GB = 10**9

_CONNECTIONS = """
SELECT count(*),
       current_setting('max_connections')::int
           - current_setting('superuser_reserved_connections')::int,
       mode() WITHIN GROUP (ORDER BY application_name)
  FROM pg_stat_activity WHERE backend_type = 'client backend'
"""


@detector()
def redis_answers() -> Iterator[Cause]:
    """Redis cannot be asked for the pause flag."""
    try:
        redis_state().ping()
    except RedisError as error:
        yield Cause("redis_down", facts={"error": f"{type(error).__name__}: {error}"})


@detector()
def redis_remembers() -> Iterator[Cause]:
    """Redis has not the epoch that was confirmed; before installation there is none."""
    for (expected,) in rows("SELECT epoch FROM pause_epoch WHERE NOT needs_second"):
        try:
            found = redis_state().get(EPOCH_KEY)
        except RedisError as away:
            raise Untold from away
        if found != str(expected):
            yield Cause(
                "epoch_lost",
                facts={"found": str(found or "—")[:8], "expected": str(expected)[:8]},
                page=list_of("payments_pauseepoch"),
            )


@detector(every_s=15)
def kafka_answers() -> Iterator[Cause]:
    """No broker tells its metadata."""
    try:
        kafka.ping(timeout_s=KAFKA_LIMIT_S)
    except Exception as error:  # Kafka's library stays in its one module: no broker has answered
        yield Cause("kafka_down", facts={"error": str(error)})


@detector(every_s=15)
def connections_are_left() -> Iterator[Cause]:
    """The server's connections run out."""
    for used, limit, most in rows(_CONNECTIONS):
        if used * 100 >= limit * CONNECTIONS_PERCENT:
            yield Cause("connections_run_out", facts={"used": used, "limit": limit, "most": most})


@detector(every_s=30)
def disk_has_room() -> Iterator[Cause]:
    """The disk fills: that of DISK_PATH, by default this container's: on one host everybody's."""
    usage = shutil.disk_usage(settings.DISK_PATH)
    percent = 100 * usage.used // (usage.used + usage.free)  # as df counts
    facts = {"percent": percent, "free_gb": f"{usage.free / _GB:.1f}"}
    if percent >= DISK_FILLING_PERCENT:
        yield Cause("disk_filling", facts=facts)
    if percent >= DISK_FULL_PERCENT:
        yield Cause("disk_full", facts=facts)
