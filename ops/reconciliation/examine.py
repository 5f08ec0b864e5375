"""One check's part of a report."""

from __future__ import annotations

import datetime as dt
import logging
import time
from dataclasses import astuple, dataclass, field
from typing import Any

from django.db import transaction

from ops.checks import Check, CouldNotLook, Finding, Look, Scope
from ops.models import ReconciliationResult, ReconciliationRun

logger = logging.getLogger(__name__)

ROWS_KEPT = 100
"""How many findings a report shows; it counts them all."""


@dataclass
class Outcome:
    """What a check said, and what it said it with."""

    check: Check
    look: Look
    found: int = 0
    rows: list[Finding] = field(default_factory=list)
    passed: bool | None = False
    error: str = ""
    duration_ms: int = 0

    def result_of(self, run: ReconciliationRun) -> ReconciliationResult:
        """Return it as a row of a run's report."""
        return ReconciliationResult(
            run=run,
            number=self.check.number,
            name=self.check.name,
            severity=self.check.severity,
            passed=self.passed,
            found=self.found,
            figures=self.look.figures,
            sql="\n\n".join(self.look.asked),
            rows=[astuple(finding) for finding in self.rows],
            error=self.error,
            since=self.look.since,
            duration_ms=self.duration_ms,
        )


def ask(check: Check) -> Any:
    """Return what a check is told before the snapshot, or the exception that it met."""
    if check.ask is None:
        return None
    try:
        return check.ask()
    except Exception as failure:
        if not isinstance(failure, CouldNotLook):
            logger.exception("what check %s needs to be told", check.name)
        return failure


def examine(check: Check, *, told: Any, at: dt.datetime, scope: Scope) -> Outcome:
    """Run a check in the open snapshot. One that breaks down did not pass, and breaks no other."""
    outcome = Outcome(check, Look(at=at, scope=scope, told=told))
    began = time.monotonic()
    try:
        with transaction.atomic():
            _look(outcome, told)
        outcome.passed = not outcome.found
    except CouldNotLook as reason:
        outcome.passed = False if outcome.found else None
        outcome.error = str(reason)
    except Exception as failure:
        logger.exception("check %s broke down", check.name)
        outcome.error = f"broke down: {type(failure).__name__}: {failure}".rstrip()
    outcome.duration_ms = round((time.monotonic() - began) * 1000)
    return outcome


def _look(outcome: Outcome, told: Any) -> None:
    for finding in outcome.check.find(outcome.look):
        outcome.found += 1
        if len(outcome.rows) < ROWS_KEPT:
            outcome.rows.append(finding)
    if isinstance(told, Exception):  # whether or not the check missed it
        raise told
