"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_until(predicate: Callable[[], T], timeout_s: float = 10, what: str = "") -> T:
    """Poll until `predicate()` is true and return its value; fail the test after `timeout_s`.

    `what` completes the sentence "did not happen: …"; the last value is in the message.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := predicate()):
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen in {timeout_s} s: {what or predicate} (last: {value!r})")
        time.sleep(0.01)
    return value
