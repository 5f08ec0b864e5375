"""docs/metrics.md: every metric that a process shows, made from what is registered."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django_prometheus.middleware import Metrics
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from advertmarket.celery import app

from . import all_sources
from .state import READ

PATH = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"

_OURS = ("advertmarket", "accounts", "channels", "deals", "notifications", "ops", "payments")
_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "summary": ("_sum", "_count"),
}

_HEAD = """# Metrics

Made from the code by `python manage.py describe_metrics`; a test compares them.

Every process shows what it counts on METRICS_PORT, for the inside alone; the web role's processes
are added up. What the tables say is shown by the `watch` role. Names and units are those of
[Prometheus](https://prometheus.io/docs/practices/naming/). Rules and dashboards that use them lie
in `deploy/`.
"""

_LIBRARIES = "Of libraries"


@dataclass(frozen=True)
class Shown:
    """A metric as Prometheus sees it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    says: str
    section: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its time series."""
        return tuple(f"{self.name}{suffix}" for suffix in _SUFFIXES.get(self.kind, ("",)))


def catalogue() -> list[Shown]:
    """Return every metric of every process, in the document's order."""
    return [*_of_the_watch(), *_of_each_process()]


def document() -> str:
    """Return docs/metrics.md."""
    parts, section = [_HEAD], ""
    for metric in catalogue():
        if metric.section != section:
            section = metric.section
            parts += ["", f"## {section}", "", "| metric | labels | |", "|---|---|---|"]
        name = metric.name + ("_total" if metric.kind == "counter" else "")
        labels = ", ".join(metric.labels)
        kind = "" if metric.kind == "gauge" else f" ({metric.kind})"
        parts.append(f"| `{name}` | {labels} | {metric.says}{kind} |")
    return "\n".join([*parts, ""]).replace("\n\n\n", "\n\n")


def _of_the_watch() -> Iterator[Shown]:
    sources = sorted(all_sources(), key=lambda one: (one.read.__module__, one.name))
    for one in sources:
        section = _title(one.read.__module__)
        for name, says in one.gauges.items():
            yield Shown(name, "gauge", one.labels, says, section)
    for name, says in READ.items():
        yield Shown(name, "gauge", ("source",), says, "The reading itself")


def _of_each_process() -> Iterator[Shown]:
    _import_all()
    modules = _modules()
    registered = [each for each in REGISTRY._collector_to_names if hasattr(each, "collect")]
    found = []
    for collector in registered:
        module = modules.get(id(collector))
        section = _title(module) if module else _LIBRARIES
        for family in collector.collect():
            labels = collector._labelnames if isinstance(collector, MetricWrapperBase) else ()
            found.append(
                Shown(family.name, family.type, tuple(labels), family.documentation, section)
            )
    yield from sorted(found, key=lambda one: (one.section == _LIBRARIES, one.section, one.name))


def _import_all() -> None:
    """Load what the web role, the workers and the consumers load."""
    importlib.import_module("advertmarket.urls")
    importlib.import_module("advertmarket.messaging.runtime")
    app.loader.import_default_modules()
    Metrics.get_instance()


def _modules() -> dict[int, str]:
    """Return where our own metrics are made, by their identity."""
    return {
        id(value): name
        for name, module in sorted(sys.modules.items())
        if name.partition(".")[0] in _OURS and name.endswith(("metrics", "db_pool", "process"))
        for value in vars(module).values()
        if isinstance(value, MetricWrapperBase)
    }


def _title(module: str) -> str:
    """Return the first line of a module's docstring, without its full stop."""
    return (sys.modules[module].__doc__ or module).strip().splitlines()[0].rstrip(".")
