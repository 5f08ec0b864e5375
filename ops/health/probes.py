"""Checks beside each other, each with the same limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TypeVar

from django.utils import translation

from .own_connection import own_connection

LIMIT_S = 2.0
"""So long may a check take, and so long is it waited for."""

T = TypeVar("T")
Details = dict[str, object]
Check = Callable[[], Details]


class Unwell(Exception):
    """It answers, and is not well; `details` say more."""

    def __init__(self, problem: str, details: Details) -> None:
        super().__init__(problem)
        self.details = details


@dataclass(frozen=True)
class Answer:
    """What a check found; `problem` is empty when all is well."""

    problem: str = ""
    details: Details = field(default_factory=dict)


class Probes:
    """Runs checks by their names."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self._running: dict[str, Future[Details]] = {}
        self._lock = threading.Lock()

    def ask(self, names: Sequence[str], *, limit_s: float = LIMIT_S) -> dict[str, Answer]:
        """Return what each check of `names` says, after at most `limit_s`."""
        started = time.monotonic()
        futures = {name: self._start(name) for name in names}
        wait(futures.values(), timeout=limit_s)
        return {name: _answer(future, started) for name, future in futures.items()}

    def failures(self, names: Sequence[str]) -> dict[str, str]:
        """Return the problems of those of `names` that have one, after at most 2 s."""
        answers = self.ask(names)
        return {name: answer.problem for name, answer in answers.items() if answer.problem}

    def _start(self, name: str) -> Future[Details]:
        with self._lock:
            running = self._running.get(name)
            if running is None or running.done():
                running = self._running[name] = in_own_thread(self._checks[name])
            return running


def in_own_thread(work: Callable[[], T], *, limit_s: float = LIMIT_S) -> Future[T]:
    """Do `work` in a thread that no ending process waits for, with a connection beside the pool.

    Each query may take `limit_s`. The caller's language is active there.
    """
    future: Future[T] = Future()
    language = translation.get_language()

    def run() -> None:
        try:
            with own_connection(limit_s=limit_s), translation.override(language):
                result = work()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="health", daemon=True).start()
    return future


def _answer(future: Future[Details], started: float) -> Answer:
    if not future.done():
        return Answer(f"no answer in {time.monotonic() - started:.1f} s")
    error = future.exception()
    if isinstance(error, Unwell):
        return Answer(str(error), error.details)
    if error is not None:
        return Answer(f"{type(error).__name__}: {error}")
    return Answer(details=future.result())
