"""Deals and disputes: how many wait, and for how long."""

from __future__ import annotations

from collections.abc import Iterable

from deals.disputes.selectors import decided_within
from deals.lifecycle import ACTIVE
from ops.query import rows

from . import HALF_A_MINUTE_S, Row, source

_DEALS = """
SELECT status, count(*), extract(epoch FROM now() - min(status_since_at)),
       count(*) FILTER (WHERE held_at IS NOT NULL)
  FROM deals WHERE status = ANY(%(active)s) GROUP BY status
"""

_OVERDUE = """
SELECT (SELECT coalesce(greatest(0, extract(epoch FROM now() - min(deadline_at))), 0)
          FROM deals WHERE deadline_at IS NOT NULL AND held_at IS NULL),
       (SELECT coalesce(greatest(0, extract(epoch FROM now() - min(due_at))), 0)
          FROM (SELECT due_at FROM deals WHERE due_at IS NOT NULL AND held_at IS NULL
                 ORDER BY due_at LIMIT 1) AS step),
       (SELECT coalesce(greatest(0, extract(epoch FROM now() - min(due_at))), 0)
          FROM planned_checks WHERE done_at IS NULL)
"""

_DISPUTES = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(opened_at)), 0),
       coalesce(greatest(0, extract(epoch FROM now() - min(opened_at) - %(within)s)), 0)
  FROM disputes WHERE state = 'OPEN'
"""
"""Overdue not by `due_at`, which every escalation puts off."""


@source(
    labels=("status",),
    keep_s=HALF_A_MINUTE_S,
    deals="Deals that are not over",
    deals_oldest_age_seconds="For how long the oldest deal of a status has been in it",
    deals_held="Deals that wait for an operator",
)
def deals_that_are_not_over() -> Iterable[Row]:
    """By the index on status: what is over, the most by far, is not looked at."""
    return rows(_DEALS, {"active": sorted(ACTIVE)})


@source(
    deals_overdue_seconds="How long ago the oldest deadline passed that nobody has acted on",
    deals_step_overdue_seconds="How long ago the oldest step was due: an address, a publication",
    deals_check_overdue_seconds="How long ago the oldest look at a post was due",
)
def what_deals_wait_for_us_with() -> Iterable[Row]:
    """Each the first entry of an index."""
    return rows(_OVERDUE)


@source(
    disputes_open="Disputes that nobody has decided",
    disputes_oldest_age_seconds="For how long the oldest of them has been open",
    disputes_overdue_seconds="How long ago the oldest of them should have been decided",
)
def open_disputes() -> Iterable[Row]:
    """By the index on open ones."""
    return rows(_DISPUTES, {"within": decided_within()})
