"""The series that rules may ask for."""

from __future__ import annotations

import functools

from deploy.prometheus.trial import all_rules
from ops.metrics.manual import catalogue

_OF_PROMETHEUS = {"up": {"job", "instance"}}
_OF_A_SCRAPE = {"job", "instance"}


@functools.cache
def shown() -> dict[str, set[str]]:
    """Return the labels of every series that a process shows, or that a rule records."""
    series = {
        name: {*metric.labels, *_OF_A_SCRAPE, *({"le"} if name.endswith("_bucket") else ())}
        for metric in catalogue()
        for name in metric.series
    }
    recorded = {rule["record"]: set(rule["labels"]) for rule in all_rules() if "record" in rule}
    return series | recorded | _OF_PROMETHEUS
