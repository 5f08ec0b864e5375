"""The files that are made from Python, with their text."""

from __future__ import annotations

from pathlib import Path

import yaml

from .grafana.model import render
from .grafana.pages import DASHBOARDS
from .prometheus import slos

HERE = Path(__file__).resolve().parent
_HEAD = "# Made from deploy/prometheus/slos.py by `python -m deploy`; a test compares them.\n"


def files() -> dict[Path, str]:
    """Return the text of every rendered file."""
    rules = _HEAD + yaml.safe_dump(slos.rules(), sort_keys=False, width=100)
    dashboards = HERE / "grafana" / "dashboards"
    return {HERE / "prometheus" / "rules" / slos.RULES: rules} | {
        dashboards / f"{dashboard.title.lower()}.json": render(dashboard)
        for dashboard in DASHBOARDS
    }
