"""What every process of the product does first: it says what it is, and shows what it counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.conf import settings
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from . import db_pool
from .environment import refuse
from .multiprocess import gone, is_counted_together

_leave_out_when_each_was_made: Callable[[], None] = disable_created_metrics
_BUILD = Gauge(
    "build_info",
    "1, with the role of the process and what it was built from",
    ["role", "version", "commit"],
    multiprocess_mode="mostrecent",
)


def begin(role: str) -> None:
    """Say that this process does the work of `role`; its metrics are served on METRICS_PORT.

    One whose PROCESS_ROLE is another ends with exit code 78: it would have the wrong secrets.
    """
    if role != settings.PROCESS_ROLE:
        refuse("PROCESS_ROLE", f"is {settings.PROCESS_ROLE}, but this is the work of the {role}")
    _BUILD.labels(role, settings.BUILD["version"], settings.BUILD["commit"]).set(1)
    if not is_counted_together():  # else its children watch theirs: a thread would not be forked
        db_pool.watch()
    _leave_out_when_each_was_made()
    if settings.METRICS_PORT:
        start_http_server(settings.METRICS_PORT, registry=_registry())


class _Together(Collector):
    """What this process and its children counted; a gauge that needs a living one forgets others.

    A worker that died has counted all the same.
    """

    def collect(self) -> Iterable[Metric]:
        """Return all of it."""
        for pid in gone():
            mark_process_dead(pid)
        yield from MultiProcessCollector(None).collect()


def _registry() -> CollectorRegistry:
    """Return what this process counted, or this and its children: the web role has several."""
    if not is_counted_together():
        return REGISTRY
    together = CollectorRegistry()
    together.register(_Together())
    ProcessCollector(registry=together)
    return together
