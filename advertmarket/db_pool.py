"""What this process's pool of database connections tells Prometheus, every few seconds.

A thread looks, since the web role's processes can only show what they have written down.
"""

from __future__ import annotations

import logging
import threading
import time

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from prometheus_client import Counter, Gauge

logger = logging.getLogger(__name__)

INTERVAL_S = 5.0

_LIMIT = Gauge(
    "db_pool_connections_max",
    "Connections that the pool may open (DB_POOL_MAX)",
    multiprocess_mode="livesum",
)
_CONNECTIONS = Gauge(
    "db_pool_connections",
    "Connections of the pool: used, or idle",
    ["state"],
    multiprocess_mode="livesum",
)
_WAITING = Gauge(
    "db_pool_requests_waiting",
    "Threads that wait for a connection of the pool",
    multiprocess_mode="livesum",
)
_REQUESTS = Counter("db_pool_requests_total", "Connections that were asked of the pool")
_REFUSED = Counter("db_pool_errors_total", "Connections that the pool did not give within 10 s")
_WAITED_S = Counter("db_pool_wait_seconds_total", "What threads waited for connections in all")


def watch() -> None:
    """Look at the pool every few seconds, in a thread that ends with the process."""
    threading.Thread(target=_watch, name="db-pool", daemon=True).start()


def measure() -> None:
    """Show how the pool is, and what happened in it since the last look."""
    wrapper = connections["default"]
    assert isinstance(wrapper, DatabaseWrapper)
    found = wrapper.pool.pop_stats()
    _LIMIT.set(found["pool_max"])
    _CONNECTIONS.labels("idle").set(found["pool_available"])
    _CONNECTIONS.labels("used").set(found["pool_size"] - found["pool_available"])
    _WAITING.set(found.get("requests_waiting", 0))
    _REQUESTS.inc(found.get("requests_num", 0))
    _REFUSED.inc(found.get("requests_errors", 0))
    _WAITED_S.inc(found.get("requests_wait_ms", 0) / 1000)


def _watch() -> None:
    while True:
        try:
            measure()
        except Exception:  # whatever it is: the process works without being watched
            logger.exception("the pool of connections is not measured")
        time.sleep(INTERVAL_S)
