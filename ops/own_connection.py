"""A database connection beside the pool, so that a pool without connections can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from django.utils import translation

T = TypeVar("T")
ALIAS = "default"


@contextmanager
def own_connection(*, limit_s: float) -> Iterator[None]:
    """Let this thread's queries use a connection of their own, each for at most `limit_s`.

    For a thread that has done nothing else: what it had before is not given back.
    """
    wrapper = DatabaseWrapper(_settings(limit_s), ALIAS)
    connections[ALIAS] = wrapper
    try:
        yield
    finally:
        wrapper.close()
        del connections[ALIAS]


def on_own_connection(work: Callable[[], T], *, limit_s: float) -> Callable[[], T]:
    """Return `work` as another thread may do it: so connected, and in the caller's language."""
    language = translation.get_language()

    def job() -> T:
        with own_connection(limit_s=limit_s), translation.override(language):
            return work()

    return job


def _settings(limit_s: float) -> dict[str, Any]:
    shared: dict[str, Any] = connections.settings[ALIAS]
    limit_ms = int(limit_s * 1000)
    options = {name: value for name, value in shared["OPTIONS"].items() if name != "pool"}
    limited = {
        "application_name": "advertmarket-health",
        "connect_timeout": int(limit_s),
        "options": f"-c statement_timeout={limit_ms} -c lock_timeout={limit_ms}",
    }
    return {**shared, "OPTIONS": {**options, **limited}}
