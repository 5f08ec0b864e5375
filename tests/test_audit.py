"""The audit of dependencies: a finding fails, and what could not be asked about is said."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

HOUSE = Path(__file__).parents[1]
CLEAN = {"name": "celery", "version": "5.7.0", "vulns": []}
BAD = {
    "name": "django",
    "version": "5.2",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.2.1"], "aliases": [], "description": ""}],
}
UNKNOWN = {"name": "amqp", "skip_reason": "Dependency not found on PyPI: amqp (5.4.2)"}


def audit(tmp_path: Path, said: str, *, errors: str = "", code: int = 0) -> Any:
    tool = tmp_path / "pip-audit"
    (tmp_path / "said").write_text(said)
    (tmp_path / "errors").write_text(errors)
    tool.write_text(f"#!/bin/sh\ncat {tmp_path}/said\ncat {tmp_path}/errors >&2\nexit {code}\n")
    tool.chmod(0o755)
    return subprocess.run(
        [HOUSE / ".ci/audit"],
        env={**os.environ, "PIP_AUDIT": str(tool)},
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("dependencies", "code", "said"),
    [
        ([CLEAN], 0, ["0 known vulnerabilities in 1 dependencies"]),
        (
            [UNKNOWN, UNKNOWN],
            0,
            [
                "SKIPPED 2 of 2, such as: Dependency not found on PyPI: amqp (5.4.2)",
                "0 known vulnerabilities in 0 dependencies",
            ],
        ),
        (
            [UNKNOWN, BAD, CLEAN],
            1,
            [
                "SKIPPED 1 of 3, such as: Dependency not found on PyPI: amqp (5.4.2)",
                "django 5.2: PYSEC-1, fixed in ['5.2.1']",
                "1 known vulnerabilities in 2 dependencies",
            ],
        ),
    ],
)
def test_a_finding_fails_whatever_else_was_skipped(
    tmp_path: Path, dependencies: list[dict[str, Any]], code: int, said: list[str]
) -> None:
    done = audit(tmp_path, json.dumps({"dependencies": dependencies}), code=code)

    assert (done.returncode, done.stdout.splitlines()) == (code, said)


def test_an_index_that_does_not_answer_is_said(tmp_path: Path) -> None:
    done = audit(tmp_path, "", errors="ServiceError: no route to host\n", code=1)

    assert (done.returncode, done.stdout) == (0, "SKIPPED all: ServiceError: no route to host\n")


def test_a_tool_that_breaks_fails(tmp_path: Path) -> None:
    done = audit(tmp_path, "", errors="ValueError: bad hash\n", code=3)

    assert (done.returncode, done.stdout) == (3, "ValueError: bad hash\n")
