"""Prometheus' own tool, as the tests run it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
_SKIPPED = 77


def promtool(*arguments: str | Path, given: str = "") -> str:
    """Run promtool, give it a text to read, and return what it printed.

    The test fails if promtool does, and is skipped where there is none.
    """
    ran = subprocess.run(
        [HOUSE / ".ci/promtool", *arguments],
        cwd=HOUSE,
        input=given,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if ran.returncode == _SKIPPED:
        pytest.skip(ran.stdout.strip())
    assert ran.returncode == 0, ran.stdout
    return ran.stdout
