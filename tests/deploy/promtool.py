"""Prometheus' own tool, as the tests run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.prometheus import trial


def promtool(*arguments: str | Path, given: str = "") -> str:
    """Run promtool, give it a text to read, and return what it printed.

    The test fails if promtool does, and is skipped where there is none.
    """
    try:
        return trial.promtool(*arguments, given=given)
    except trial.NoPromtool as reason:
        pytest.skip(str(reason))
