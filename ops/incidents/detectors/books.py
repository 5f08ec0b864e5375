"""What reconciliation found, that it runs at all, and that the audit log is sealed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.utils import timezone

from ops.checks import Severity, all_checks
from ops.incidents.causes import Cause, list_of, moment, page_of
from ops.query import rows
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

_STANDING = """
SELECT said.number, said.name, said.severity, said.found,
       said.rows #>> '{0,0}' || ': ' || (said.rows #>> '{0,1}'),
       said.error, run.finished_at, run.id
  FROM unnest(%(names)s::text[]) AS promise (name)
 CROSS JOIN LATERAL (
     SELECT max(run_id) AS run_id FROM reconciliation_results
      WHERE name = promise.name AND passed AND since = 0) AS whole
 CROSS JOIN LATERAL (
     SELECT * FROM (
         SELECT DISTINCT ON (found > 0, since) * FROM reconciliation_results
          WHERE name = promise.name AND (NOT passed OR passed IS NULL)
            AND run_id > coalesce(whole.run_id, 0)
          ORDER BY found > 0, since, run_id DESC) AS failing
      WHERE coalesce(failing.since < (
          SELECT min(later.since) FROM reconciliation_results later
           WHERE later.name = failing.name AND later.passed
             AND later.run_id > failing.run_id), true)
      ORDER BY found > 0 DESC, run_id DESC LIMIT 1) AS said
  JOIN reconciliation_runs run ON run.id = said.run_id
 ORDER BY said.number, said.name
"""
"""What each check said last, if no later run took it back: one in which that same check passed and
looked as far. So what a full run found behind the checkpoint only a full run takes back, and what
the chain said only a run that asks the chain. What was found counts before what could not look."""

_SUBJECTS = """
SELECT finding ->> 0
  FROM reconciliation_results result CROSS JOIN jsonb_array_elements(result.rows) AS finding
 WHERE result.run_id = %(run)s AND result.name = %(name)s
"""

_RUNS = """
WITH whole AS (
    SELECT run.id, run.finished_at
      FROM reconciliation_results result JOIN reconciliation_runs run ON run.id = result.run_id
     WHERE result.name = ANY(%(full_only)s::text[])
     ORDER BY run.id DESC LIMIT 1)
SELECT (SELECT finished_at FROM reconciliation_runs ORDER BY id DESC LIMIT 1),
       coalesce(
           nullif((SELECT error FROM reconciliation_runs ORDER BY id DESC LIMIT 1), ''),
           (SELECT error FROM reconciliation_runs
             WHERE kind = 'FULL' AND error <> '' AND id > coalesce((SELECT id FROM whole), 0)
             ORDER BY id DESC LIMIT 1)),
       (SELECT min(started_at) FROM reconciliation_runs),
       (SELECT finished_at FROM whole)
"""
"""A full run is one in which the checks that are for full runs alone had their say. One that broke
off is made good by another full one, any other by whatever run comes next."""

_UNSEALED = """
SELECT count(*), min(at) FROM audit_log
 WHERE id > (SELECT coalesce(max(last_id), 0) FROM audit_seals) AND at < %(before)s
"""


@detector()
def books_are_right() -> Iterator[Cause]:
    """A check of the books found something; or could not look or broke down, which proves nothing.

    So payouts pause for what was found, and not for a query that took too long.
    """
    names = [check.name for check in all_checks(full=True)]
    for number, name, severity, found, finding, error, at, run in rows(_STANDING, {"names": names}):
        page = page_of("ops_reconciliationrun", run)
        kind = _KINDS.get(Severity(severity))
        if not found:
            facts = {"error": f"check {number}: {error}"}
            yield Cause("reconciliation_broken", key=name, facts=facts, since=at, page=page)
        elif kind is not None:
            facts = {"number": number, "check": name, "found": found, "finding": finding}
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
    """No run has ended for minutes, no full one for a day, or one broke off.

    While one goes on, the others wait for it by right, and it may take half an hour.
    """
    page = list_of("ops_reconciliationrun")
    is_busy = is_in_progress()  # asked first: a run that ends in between has its report
    now = timezone.now()
    late_after = BUSY_FOR if is_busy else LATE_AFTER
    full_only = [check.name for check in all_checks(full=True) if check.full_only]
    for finished_at, error, first_at, full_at in rows(_RUNS, {"full_only": full_only}):
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
