"""Runs of tasks are counted and timed by their names."""

from __future__ import annotations

import time

import pytest

from advertmarket.celery import app
from advertmarket.messaging.tasks import redeliver
from advertmarket.task_metrics import counted
from tests.database import Clone
from tests.samples import Since, sample

TASK = "messaging.tasks.redeliver"
LAST_SUCCESS = "celery_task_last_success_timestamp_seconds"


def test_a_run_of_a_task_is_counted_and_dated(committed_db: Clone) -> None:
    since, started = Since(), time.time()

    redeliver()

    assert since("celery_task_runs_total", task=TASK, outcome="success") == 1
    assert since("celery_task_duration_seconds_count", task=TASK) == 1
    assert started <= sample(LAST_SUCCESS, task=TASK) <= time.time()


def test_a_run_that_fails_is_no_success() -> None:
    since = Since()

    with pytest.raises(ZeroDivisionError), counted("a task"):
        raise ZeroDivisionError

    assert since("celery_task_runs_total", task="a task", outcome="failure") == 1
    assert since("celery_task_runs_total", task="a task", outcome="success") == 0
    assert since("celery_task_duration_seconds_count", task="a task") == 1
    assert sample(LAST_SUCCESS, task="a task") == 0


def test_tasks_run_in_the_process_that_shows_what_they_count() -> None:
    """A worker's command line cannot say otherwise: there prefork means "as configured"."""
    assert app.conf.worker_pool == "threads"
