"""What the processes show Prometheus, as it would scrape it, and whether an alert fires at that."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from deploy.prometheus import trial
from deploy.prometheus.promql import selected
from sandbox.demo.stack import ROLES, Stack

_JOBS = {"web": "backend", "consumer": "consumers"}
"""Where a job is not called like its role."""

_MINUTES = 90
_COUNTERS = ("_total", "_count", "_sum", "_bucket")
_AGES = ("_oldest_age_seconds", "_cursor_age_seconds", "_payable_age_seconds")
_MOMENTS = ("_timestamp_seconds",)


def written(name: str, labels: Mapping[str, str]) -> str:
    """Return a series as Prometheus writes it."""
    braces = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return f"{name}{{{braces}}}" if braces else name


@dataclass(frozen=True)
class Sample:
    """A series at the time of a scrape."""

    name: str
    labels: Mapping[str, str]
    value: float

    @property
    def series(self) -> str:
        """It, as Prometheus writes it."""
        return written(self.name, self.labels)


@dataclass(frozen=True)
class Scrape:
    """All series of all processes at one time; `up` is 0 of those that did not answer."""

    at: float
    samples: Sequence[Sample]

    def total(self, name: str, **labels: str) -> float | None:
        """Return the sum of what is shown under a name with these labels; None if nothing is."""
        found = [
            sample.value
            for sample in self.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None


def scrape(stack: Stack) -> Scrape:
    """Ask every process of the product for its metrics, all at the same time."""
    at = time.time()
    names = [role.name for role in ROLES]
    with ThreadPoolExecutor(len(names)) as pool:
        shown = list(pool.map(lambda name: _of_process(stack, name), names))
    return Scrape(at, [sample for samples in shown for sample in samples])


def fires(alert: str, before: Scrape, after: Scrape, *labels: Mapping[str, str]) -> None:
    """Have promtool evaluate an alert's rule on what was scraped: it must fire, once per `labels`.

    The figures go on for an hour and a half as they went between the scrapes: counters grow as
    they grew, ages by themselves; the rest stays. No labels: it must not fire, and ages stay.

    Raises:
        trial.NoPromtool: it could not be tried.
        trial.Refused: it is otherwise, and what promtool says.
    """
    names = {name for name, _ in selected(trial.alerts()[alert]["expr"])}
    known = {sample.series: sample.value for sample in before.samples}
    series = {
        sample.series: _goes_on(
            sample, known.get(sample.series, 0.0), after.at, ages_grow=bool(labels)
        )
        for sample in after.samples
        if sample.name in names
    }
    with tempfile.TemporaryDirectory() as folder:
        test = trial.one_test(alert, series, labels, minutes=_MINUTES)
        trial.promtool("test", "rules", trial.write_tests_of_one(Path(folder), alert, [test]))


def severity_of(alert: str) -> str:
    """Return how grave an alert is, as its rule says."""
    return str(trial.alerts()[alert]["labels"]["severity"])


def _goes_on(sample: Sample, before: float, at: float, *, ages_grow: bool) -> str:
    """The values of a series from the scrape on, a minute apart, in promtool's notation."""
    if sample.name.endswith(_COUNTERS):
        return f"{before:.6f}+{max(0.0, sample.value - before):.6f}x{_MINUTES}"
    if ages_grow and sample.name.endswith(_AGES):
        return f"{sample.value:.3f}+60x{_MINUTES}"
    if sample.name.endswith(_MOMENTS):  # promtool's clock begins at 0
        return f"{sample.value - at:.3f}x{_MINUTES}"
    return f"{sample.value}x{_MINUTES}"


def _of_process(stack: Stack, role: str) -> list[Sample]:
    job = _JOBS.get(role, role)
    where = {"job": job, "instance": job}
    try:
        answer = httpx.get(stack.metrics_url(role), timeout=5).raise_for_status()
    except httpx.HTTPError:
        return [Sample("up", where, 0)]
    return [Sample("up", where, 1)] + [
        Sample(sample.name, {**sample.labels, **where}, float(sample.value))
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    ]
