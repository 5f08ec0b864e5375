"""The files that are made from Python, with their text."""

from __future__ import annotations

from pathlib import Path

import yaml

from .prometheus import slos

HERE = Path(__file__).resolve().parent
_MADE_BY = "# Made by `python -m deploy` from {source}; a test compares them.\n"


def files() -> dict[Path, str]:
    """Return the text of every rendered file."""
    rules = yaml.safe_dump(slos.rules(), sort_keys=False, width=100)
    head = _MADE_BY.format(source="deploy/prometheus/slos.py")
    return {HERE / "prometheus" / "rules" / slos.RULES: head + rules}
