"""The rules of Prometheus, as they are loaded."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import yaml

from deploy.rendered import HERE

FOLDER = HERE / "prometheus" / "rules"


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
