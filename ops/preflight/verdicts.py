"""How a look ends."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """SKIPPED could not be looked at, and is never taken for a pass."""

    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    SKIPPED = "SKIPPED"


class Failed(Exception):
    """It is not as it must be; `fix` says what to do."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.fix = fix


class Skipped(Exception):
    """It could not be looked at, and why."""
