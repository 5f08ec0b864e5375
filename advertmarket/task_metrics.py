"""What the runs of tasks tell Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Gauge, Histogram

_RUNS = Counter(
    "celery_task_runs_total", "Runs of tasks, by outcome: success or failure", ["task", "outcome"]
)
_DURATION_S = Histogram(
    "celery_task_duration_seconds",
    "How long runs of tasks took",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300),
)
_LAST_SUCCESS = Gauge(
    "celery_task_last_success_timestamp_seconds",
    "When this process last ran the task to its end",
    ["task"],
)


@contextmanager
def counted(task: str) -> Iterator[None]:
    """Count and time a run of the task of this name."""
    started = time.monotonic()
    success, failure = (_RUNS.labels(task, outcome) for outcome in ("success", "failure"))
    ended = failure
    try:
        yield
        ended = success
        _LAST_SUCCESS.labels(task).set_to_current_time()
    finally:
        ended.inc()
        _DURATION_S.labels(task).observe(time.monotonic() - started)
