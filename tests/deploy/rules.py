"""The rules of Prometheus, as they are loaded."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import yaml

from deploy.rendered import HERE
from ops.metrics.manual import catalogue

FOLDER = HERE / "prometheus" / "rules"
_OF_PROMETHEUS = {"up": {"job", "instance"}}
_OF_A_SCRAPE = {"job", "instance"}


def all_rules() -> Iterator[dict[str, Any]]:
    """Yield every rule of every file."""
    for path in sorted(FOLDER.glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


@functools.cache
def alerts() -> dict[str, dict[str, Any]]:
    """Return every alert, by name."""
    found = [rule for rule in all_rules() if "alert" in rule]
    assert len({rule["alert"] for rule in found}) == len(found)
    return {rule["alert"]: rule for rule in found}


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
