"""Deals that nobody but an operator moves on: held ones, and disputes that nobody decides."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from deals.disputes.selectors import decided_within
from deals.lifecycle import ACTIVE
from ops.incidents.causes import Cause, list_of, page_of
from ops.query import rows

from . import detector

EACH = 5
"""So many disputes, the oldest, have an incident each: of a hundred nobody reads more."""

_HELD = """
SELECT count(*) OVER (), id, status, hold_reason, held_at FROM deals
 WHERE status = ANY(%(active)s) AND held_at IS NOT NULL ORDER BY held_at, id LIMIT 1
"""

_OVERDUE = """
SELECT id, deal_id, reason, opened_at FROM disputes
 WHERE state = 'OPEN' AND opened_at <= %(before)s ORDER BY opened_at, id LIMIT %(most)s
"""
"""Not by `due_at`, which every escalation puts off."""


@detector(every_s=60)
def held_deals_are_looked_at() -> Iterator[Cause]:
    """Some deals are held for an operator: one incident as long as there are any."""
    for count, deal, status, reason, since in rows(_HELD, {"active": sorted(ACTIVE)}):
        yield Cause(
            "deals_held",
            facts={"count": count, "deal": str(deal), "status": status, "reason": reason},
            since=since,
            page=list_of("deals_deal"),
        )


@detector(every_s=60)
def disputes_are_decided() -> Iterator[Cause]:
    """A dispute has waited for its decision until it was escalated, or longer."""
    now, within = timezone.now(), decided_within()
    for pk, deal, reason, opened_at in rows(_OVERDUE, {"before": now - within, "most": EACH}):
        yield Cause(
            "dispute_overdue",
            key=str(pk),
            facts={"deal": str(deal), "reason": reason, "days": (now - opened_at).days},
            since=opened_at + within,
            page=page_of("deals_dispute", pk),
        )
