"""What watches: incidents, the checks of the books, the chain reader."""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from ops.health.checks import STANDS_STILL_AFTER
from ops.query import rows

from .section import SHOWN, Section, age, listed

STALE_AFTER = dt.timedelta(minutes=10)
"""The checks run every minute."""

_INCIDENTS = """
SELECT count(*) OVER (), id, severity, cause, opened_at, acknowledged_at FROM incidents
 WHERE resolved_at IS NULL ORDER BY severity, opened_at LIMIT %(most)s
"""

_RUN = """
SELECT id, kind, finished_at, passed, error FROM reconciliation_runs
 ORDER BY finished_at DESC LIMIT 1
"""

_RESULTS = """
SELECT number, name, severity, passed, found, error FROM reconciliation_results
 WHERE run_id = %(run)s AND passed IS NOT TRUE ORDER BY number
"""

_CURSOR = "SELECT seqno, head_seqno, block_at, read_at FROM chain_cursor"


def tell_incidents(at: dt.datetime) -> Section | None:
    """What has been noticed, and is not resolved."""
    if not _exists("incidents"):
        return None
    found = rows(_INCIDENTS, {"most": SHOWN})
    count = found[0][0] if found else 0
    lines = [
        f"{pk} {severity} {cause}, {age(opened_at, at)},"
        f" {'acknowledged' if acknowledged_at else 'NOT acknowledged'}"
        for _count, pk, severity, cause, opened_at, acknowledged_at in found
    ]
    return Section(_("open incidents"), str(count), bool(count), listed(lines, count))


def tell_reconciliation(at: dt.datetime) -> Section | None:
    """What the last run of the checks said, and when."""
    if not _exists("reconciliation_runs"):
        return None
    for run, kind, finished_at, passed, error in rows(_RUN):
        failed = rows(_RESULTS, {"run": run})
        stale = at - finished_at > STALE_AFTER
        said = _("all checks passed") if passed else _("NOT all checks passed")
        says = _("{said}, {age} ago").format(said=said, age=age(finished_at, at))
        lines = [f"{kind} run {run}", *([error] if error else [])] + [
            f"{number} {name}, {severity}: {problem or f'{found} found'}"
            for number, name, severity, _passed, found, problem in failed
        ]
        return Section(_("reconciliation"), says, not passed or stale, tuple(lines))
    return Section(_("reconciliation"), _("never ran"), needs_person=True)


def tell_chain(at: dt.datetime) -> Section:
    """How far the chain is booked."""
    for seqno, head_seqno, block_at, read_at in rows(_CURSOR):
        says = _("block {seqno}, {behind} behind, read {age} ago").format(
            seqno=seqno, behind=head_seqno - seqno, age=age(read_at, at)
        )
        stands = at - read_at > STANDS_STILL_AFTER
        lines = (f"the block is of {block_at:%Y-%m-%d %H:%M:%S} UTC",)
        return Section(_("chain reader"), says, stands, lines)
    return Section(_("chain reader"), _("never ran"), needs_person=True)


def _exists(table: str) -> bool:
    """Whether the database has a table; after a rollback it may be older than the code."""
    [(found,)] = rows("SELECT to_regclass(%(table)s) IS NOT NULL", {"table": table})
    return bool(found)
