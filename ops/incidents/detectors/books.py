"""What reconciliation found, that it runs at all, and that the audit log is sealed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.utils import timezone

from ops.checks import Severity
from ops.checks.query import rows
from ops.incidents.causes import Cause, list_of, moment, page_of
from ops.reconciliation import is_in_progress

from . import detector

LATE_AFTER = dt.timedelta(minutes=5)
"""It runs every minute; the audit log is sealed every 10 seconds."""

BUSY_FOR = dt.timedelta(minutes=30)
"""So long may one run, which is a full one, hold up the others; without it they end each minute."""

FULL_LATE_AFTER = dt.timedelta(hours=26)
"""It runs every night, and takes its time."""

_KINDS = {Severity.CRITICAL: "check_critical", Severity.HIGH: "check_high"}
"""MEDIUM ones show in the console."""

_SAID = """
SELECT DISTINCT ON (result.number, result.name) result.number, result.name, result.severity,
       result.passed, result.found,
       result.rows #>> '{0,0}' || ': ' || (result.rows #>> '{0,1}'),
       result.error, run.finished_at, run.id
  FROM reconciliation_results result JOIN reconciliation_runs run ON run.id = result.run_id
 WHERE result.passed IS DISTINCT FROM true
   AND run.id IN ((SELECT max(id) FROM reconciliation_runs WHERE error = ''),
                  (SELECT max(id) FROM reconciliation_runs WHERE error = '' AND kind = 'FULL'))
 ORDER BY result.number, result.name, result.passed NULLS LAST, run.id DESC
"""
"""What the last run found, and the last full one: that looks behind the checkpoint, where an
incremental one does not, so that only another full one takes back what it found."""

_SUBJECTS = """
SELECT finding ->> 0
  FROM reconciliation_results result CROSS JOIN jsonb_array_elements(result.rows) AS finding
 WHERE result.run_id = %(run)s AND result.name = %(name)s
"""

_RUNS = """
SELECT (SELECT finished_at FROM reconciliation_runs ORDER BY id DESC LIMIT 1),
       (SELECT error FROM reconciliation_runs ORDER BY id DESC LIMIT 1),
       (SELECT min(started_at) FROM reconciliation_runs),
       (SELECT max(finished_at) FROM reconciliation_runs WHERE kind = 'FULL')
"""

_UNSEALED = """
SELECT count(*), min(at) FROM audit_log
 WHERE id > (SELECT coalesce(max(last_id), 0) FROM audit_seals) AND at < %(before)s
"""


@detector()
def books_are_right() -> Iterator[Cause]:
    """A check of the books fails, or could not look."""
    for number, name, severity, passed, found, finding, error, at, run in rows(_SAID):
        page = page_of("ops_reconciliationrun", run)
        kind = _KINDS.get(Severity(severity))
        if passed is None:
            facts = {"error": f"check {number}: {error}"}
            yield Cause("reconciliation_broken", key=name, facts=facts, since=at, page=page)
        elif kind is not None:
            facts = {"number": number, "check": name, "found": found, "finding": finding or error}
            subjects = [subject for (subject,) in rows(_SUBJECTS, {"run": run, "name": name})]
            yield Cause(
                kind,
                key=name,
                facts=facts,
                since=at,
                page=page,
                subjects=subjects,
                found=found,
            )


@detector(every_s=10)
def reconciliation_runs() -> Iterator[Cause]:
    """No run has ended for minutes, no full one for a day, or the last one broke off.

    While one goes on, the others wait for it by right, and it may take half an hour.
    """
    page = list_of("ops_reconciliationrun")
    is_busy = is_in_progress()  # asked first: a run that ends in between has its report
    now = timezone.now()
    late_after = BUSY_FOR if is_busy else LATE_AFTER
    for finished_at, error, first_at, full_at in rows(_RUNS):
        if finished_at is None or now - finished_at > late_after:
            minutes = late_after // dt.timedelta(minutes=1)
            facts = {"minutes": minutes, "finished_at": moment(finished_at)}
            yield Cause("reconciliation_late", facts=facts, since=finished_at, page=page)
        if error:
            yield Cause("reconciliation_broken", facts={"error": error}, page=page)
        if first_at is not None and now - (full_at or first_at) > FULL_LATE_AFTER:
            facts = {"finished_at": moment(full_at)}
            yield Cause("full_reconciliation_late", facts=facts, since=full_at, page=page)


@detector(every_s=10)
def audit_log_is_sealed() -> Iterator[Cause]:
    """Entries of the audit log have waited for their seal for minutes."""
    for count, since in rows(_UNSEALED, {"before": timezone.now() - LATE_AFTER}):
        if count:
            yield Cause(
                "seal_late",
                facts={"count": count, "since": moment(since)},
                since=since,
                page=list_of("audit_auditentry"),
            )
