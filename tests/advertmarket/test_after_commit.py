"""What is done after a commit harms nothing that was committed, even if it raises."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.db import transaction
from prometheus_client import CollectorRegistry, Histogram

from advertmarket import metrics, wake

pytestmark = pytest.mark.usefixtures("committed_db")


def fails(*_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_a_wake_that_cannot_begin_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wake._waker, "wake", fails)
    after = []

    with caplog.at_level(logging.ERROR), transaction.atomic():
        wake.wake_after_commit("a.task")
        transaction.on_commit(lambda: after.append("done"))

    [record] = caplog.records
    assert "can't start new thread" in record.getMessage()
    assert "wake" in record.getMessage()
    assert after == ["done"]


def test_a_wake_outside_a_database_transaction_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wake._waker, "wake", fails)

    with caplog.at_level(logging.ERROR):
        wake.wake_after_commit("a.task")

    assert len(caplog.records) == 1


def test_a_histogram_that_cannot_note_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    histogram = Histogram("took_seconds", "How long it took", registry=CollectorRegistry())
    monkeypatch.setattr(histogram, "observe", fails)
    after = []

    with caplog.at_level(logging.ERROR), transaction.atomic():
        metrics.observe(histogram, timedelta(seconds=1))
        transaction.on_commit(lambda: after.append("done"))

    assert len(caplog.records) == 1
    assert after == ["done"]
