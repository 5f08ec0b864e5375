"""What the checks of the books said last."""

from __future__ import annotations

from collections.abc import Iterable

from ops.checks import all_checks
from ops.query import rows
from ops.reconciliation import is_in_progress

from . import Row, source

_RESULTS = """
SELECT latest.number, latest.name, latest.severity, (latest.found > 0)::int,
       (latest.passed IS NOT TRUE AND latest.found = 0)::int, latest.found,
       latest.duration_ms / 1000.0, extract(epoch FROM now() - run.finished_at)
  FROM unnest(%(names)s::text[]) AS promise (name)
 CROSS JOIN LATERAL (SELECT * FROM reconciliation_results result
                      WHERE result.name = promise.name
                      ORDER BY result.run_id DESC LIMIT 1) AS latest
  JOIN reconciliation_runs run ON run.id = latest.run_id
"""


@source(
    labels=("number", "check", "severity"),
    reconciliation_check_failed="1 if the check found something when it last ran",
    reconciliation_check_blind="1 if the check could not look, or broke down, when it last ran",
    reconciliation_check_findings="How much it found",
    reconciliation_check_duration_seconds="How long it took",
    reconciliation_check_age_seconds="How long ago that was",
)
def checks_of_the_books() -> Iterable[Row]:
    """By the index on each check's latest result."""
    return rows(_RESULTS, {"names": [check.name for check in all_checks()]})


@source(reconciliation_in_progress="1 while a run goes on, which the others wait for")
def whether_a_run_goes_on() -> Iterable[Row]:
    """By the lock that a run holds."""
    yield (is_in_progress(),)
