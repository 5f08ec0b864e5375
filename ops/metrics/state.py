"""Reads the sources beside whoever scrapes this process, and shows what it last read.

A scrape never waits for the database. What could not be read lately is not shown at all: an old
figure would look like a present one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from django.db import InterfaceError, OperationalError, connection, transaction
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from psycopg.errors import QueryCanceled

from advertmarket.db import release_connection

from . import Source, all_sources

logger = logging.getLogger(__name__)

LIMIT_S = 5
"""For longer no source keeps the database busy."""

STALE_AFTER_S = 30.0
"""How much later than it should be a reading is still shown."""

_ROUND_S = 1.0

READ = {
    "state_read_failed": "1 if what a source shows could not be read lately, and so is not shown",
    "state_read_duration_seconds": "How long it last took to read a source",
}
"""What is shown of the reading itself."""


def register(registry: CollectorRegistry = REGISTRY) -> None:
    """Have this process show the platform's state: the `watch`, and no other."""
    state = State()
    registry.register(state)
    threading.Thread(target=state.keep_fresh, name="state", daemon=True).start()


class State(Collector):
    """What was read last of each source."""

    def __init__(self) -> None:
        self._readings: dict[str, _Reading] = {}

    def describe(self) -> Iterable[Metric]:
        """Name the gauges, without reading them."""
        for source in all_sources():
            yield from _families(source)
        yield from _families_of_reading()

    def collect(self) -> Iterable[Metric]:
        """Return the gauges with their values."""
        failed, duration = _families_of_reading()
        for source in all_sources():
            reading = self._readings.get(source.name)
            is_shown = reading is not None and reading.is_fresh(source.keep_s + STALE_AFTER_S)
            failed.add_metric([source.name], float(not is_shown))
            if reading is not None and is_shown:
                duration.add_metric([source.name], reading.took_s)
                yield from reading.families
            else:
                yield from _families(source)
        yield failed
        yield duration

    def keep_fresh(self) -> None:
        """Read what has become old, again and again."""
        while True:
            self.refresh()
            time.sleep(_ROUND_S)

    def refresh(self) -> None:
        """Read what has become old; once the database is away, nothing more that needs it."""
        database_away = False
        for source in all_sources():
            known = self._readings.get(source.name)
            if known is not None and known.is_fresh(source.keep_s):
                continue
            if source.needs_database and database_away:
                continue
            try:
                self._readings[source.name] = _Reading(source)
            except Exception as error:  # whatever it is: the others are read all the same
                logger.exception("%s cannot be read", source.name)
                database_away = database_away or _is_away(error)
        release_connection()


class _Reading:
    """What a source said."""

    def __init__(self, source: Source) -> None:
        self._at = time.monotonic()
        self.families = _ask(source)
        self.took_s = time.monotonic() - self._at

    def is_fresh(self, keep_s: float) -> bool:
        """Whether it is younger than that."""
        return time.monotonic() - self._at < keep_s


def _ask(source: Source) -> list[GaugeMetricFamily]:
    if not source.needs_database:
        return _fill(source)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{LIMIT_S}s'")
        return _fill(source)


def _fill(source: Source) -> list[GaugeMetricFamily]:
    families = _families(source)
    labels = len(source.labels)
    for row in source.read():
        for family, value in zip(families, row[labels:], strict=True):
            if value is not None:
                family.add_metric([str(label) for label in row[:labels]], float(value))
    return families


def _is_away(error: Exception) -> bool:
    is_slow = isinstance(error.__cause__, QueryCanceled)
    return isinstance(error, OperationalError | InterfaceError) and not is_slow


def _families(source: Source) -> list[GaugeMetricFamily]:
    return [
        GaugeMetricFamily(name, says, labels=source.labels) for name, says in source.gauges.items()
    ]


def _families_of_reading() -> list[GaugeMetricFamily]:
    return [GaugeMetricFamily(name, says, labels=["source"]) for name, says in READ.items()]
