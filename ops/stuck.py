"""When a transfer is stuck: said once, for the watch, for `status` and for Prometheus."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple
from uuid import UUID

from .query import rows

STUCK_AFTER = dt.timedelta(hours=1)
"""By the runbook's table of financial incidents."""

_STUCK = """
SELECT id, kind, state, reference, amount_nano, waiting_for, payable_since_at
  FROM settlements
 WHERE NOT state IN ('CONFIRMED', 'CANCELLED', 'HELD') AND payable_since_at < %(before)s
   AND (unclaimed_since_at IS NULL
        OR (SELECT effective_at FROM payout_addresses
             WHERE user_id = payee_id) < %(before)s)
 ORDER BY payable_since_at, id
"""
"""An unclaimed payout that nobody looks at, since another transfer of its wallet is under way, is
its payee's matter still."""


class Waiting(NamedTuple):
    """An owed transfer of `deal`, what it waits for, and since when."""

    pk: UUID
    kind: str
    state: str
    deal: UUID
    amount_nano: int
    waiting_for: str
    since: dt.datetime


def stuck_transfers(at: dt.datetime) -> list[Waiting]:
    """Return those that have waited for us alone for over an hour, the oldest first.

    The time that they wait for a payee, for an address to count, or for the end of a pause is not
    ours; held ones wait for a person by the rules. One that needs an operator counts from when it
    was payable, whatever has been tried meanwhile.
    """
    return [Waiting(*row) for row in rows(_STUCK, {"before": at - STUCK_AFTER})]
