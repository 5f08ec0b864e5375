"""The promises that the books keep: one function each, found by discovery.

They run in production all the time (`ops/reconciliation/`), and after every test that touched the
database. Adding one is adding one function: its name, first line, queries and figures are its row
in docs/money.md and its part of every report.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.utils import timezone

from .look import EVERYTHING, Look, Scope

__all__ = [
    "EVERYTHING",
    "Check",
    "CouldNotLook",
    "Finding",
    "Look",
    "Scope",
    "Severity",
    "all_checks",
    "check",
    "run_all",
]


class Severity(StrEnum):
    """CRITICAL pauses payouts and pages at once; HIGH alerts; MEDIUM shows in the console."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"


class CouldNotLook(Exception):
    """What the check needs beside the database is away: nothing was found, nothing is promised."""


@dataclass(frozen=True)
class Finding:
    """One broken promise: what it is about, and what is wrong with it."""

    subject: str
    problem: str


Find = Callable[[Look], Iterator[Finding]]


@dataclass(frozen=True)
class Check:
    """A numbered promise and the function that yields what breaks it.

    `ask` is called before the database is looked at, outside any database transaction, and may
    call a network; its answer is `look.told`. A check for full runs only is part of no other.
    """

    number: int
    severity: Severity
    find: Find
    ask: Callable[[], Any] | None = None
    full_only: bool = False

    @property
    def name(self) -> str:
        """What the check is called."""
        return self.find.__name__

    @property
    def promise(self) -> str:
        """What it promises, in a sentence."""
        return (self.find.__doc__ or "").splitlines()[0]

    def findings(self) -> list[Finding]:
        """Look at everything now, and return what is wrong."""
        told = self.ask() if self.ask else None
        return list(self.find(Look(at=timezone.now(), told=told, with_figures=False)))


_checks: dict[tuple[int, bool], Check] = {}


def check(
    number: int,
    severity: Severity,
    *,
    ask: Callable[[], Any] | None = None,
    full_only: bool = False,
) -> Callable[[Find], Find]:
    """Register a generator of findings under its number in the table of docs/money.md.

    It may raise CouldNotLook; whatever else it raises counts as a failure.
    """

    def register(find: Find) -> Find:
        place = (number, full_only)
        if place in _checks:
            raise TypeError(f"check {number} is registered twice")
        _checks[place] = Check(number, severity, find, ask, full_only)
        return find

    return register


def all_checks(*, full: bool = False) -> list[Check]:
    """Return every check by number, with those that are for full runs only if `full`."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return [one for _, one in sorted(_checks.items()) if full or not one.full_only]


def run_all() -> dict[str, list[Finding]]:
    """Run every check and return what was found, by the check's name; empty when all is well."""
    found = {check.name: check.findings() for check in all_checks()}
    return {name: findings for name, findings in found.items() if findings}
