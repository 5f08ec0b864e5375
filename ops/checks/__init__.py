"""The promises that the books keep: one function each, found by discovery.

They run in production from time to time, and after every test that touched the database.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """CRITICAL pauses payouts and pages at once; HIGH alerts; MEDIUM shows in the console."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"


@dataclass(frozen=True)
class Finding:
    """One broken promise: what it is about, and what is wrong with it."""

    subject: str
    problem: str


@dataclass(frozen=True)
class Check:
    """A numbered promise and the function that yields what breaks it."""

    number: int
    severity: Severity
    name: str
    find: Callable[[], Iterator[Finding]]


_checks: dict[int, Check] = {}


def check(
    number: int, severity: Severity
) -> Callable[[Callable[[], Iterator[Finding]]], Callable[[], Iterator[Finding]]]:
    """Register a generator of findings under its number in the table of docs/money.md."""

    def register(find: Callable[[], Iterator[Finding]]) -> Callable[[], Iterator[Finding]]:
        if number in _checks:
            raise TypeError(f"check {number} is registered twice")
        _checks[number] = Check(number, severity, find.__name__, find)
        return find

    return register


def all_checks() -> list[Check]:
    """Return every check, by number."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return [_checks[number] for number in sorted(_checks)]


def run_all() -> dict[str, list[Finding]]:
    """Run every check and return what was found, by the check's name; empty when all is well."""
    found = {check.name: list(check.find()) for check in all_checks()}
    return {name: findings for name, findings in found.items() if findings}
