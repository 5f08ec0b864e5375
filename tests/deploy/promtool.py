"""Prometheus' own tool, as the tests run it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
_SKIPPED = 77


def promtool(*arguments: str | Path) -> str:
    """Run promtool and return what it printed; without it the test is skipped."""
    ran = subprocess.run(
        [HOUSE / ".ci/promtool", *arguments],
        cwd=HOUSE,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if ran.returncode == _SKIPPED:
        pytest.skip(ran.stdout.strip())
    assert ran.returncode == 0, ran.stdout
    return ran.stdout
