"""Payouts that nobody has claimed: the payee never said where to.

The payee is told at once and reminded; on the last day an operator is told too, and extends the
time, gives the money back to the advertiser, or holds it. An address, once set, ends all this.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import Q

from accounts.selectors import payout_address
from advertmarket.db import requires_transaction
from advertmarket.messaging.outbox import publish
from payments.events import PayoutUnclaimed
from payments.models import Settlement

from . import settlements

REMINDER_DAYS = (7, 14, 21, 30)
_BATCH = 100


@requires_transaction
def tell_first(*, settlement: Settlement, at: dt.datetime) -> None:
    """Note that a locked payout waits for an address, and tell its payee; once."""
    if settlement.unclaimed_since_at is not None:
        return
    settlement.unclaimed_since_at, settlement.reminded_day = at, 0
    settlement.save(update_fields=["unclaimed_since_at", "reminded_day"])
    _tell(settlement, 0, at)


@requires_transaction
def remind(*, at: dt.datetime) -> None:
    """Remind the payees of payouts that have waited another week; not who has set an address.

    Weeks in which nobody was reminded are not made up for.
    """
    day = dt.timedelta(days=1) * settings.DEADLINE_SCALE
    is_due = Q()
    for one in REMINDER_DAYS:
        is_due |= Q(unclaimed_since_at__lte=at - one * day, reminded_day__lt=one)
    waiting = (
        Settlement.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(is_due, state=Settlement.State.QUEUED)
        .order_by("unclaimed_since_at")
    )
    for settlement in waiting[:_BATCH]:
        assert settlement.unclaimed_since_at is not None  # by the filter
        passed = (at - settlement.unclaimed_since_at) / day
        settlement.reminded_day = max(one for one in REMINDER_DAYS if one <= passed)
        settlement.save(update_fields=["reminded_day"])
        assert settlement.payee_id is not None  # a payout names its owner
        if payout_address(settlement.payee_id) is None:
            _tell(settlement, settlement.reminded_day, at)


def _tell(settlement: Settlement, day: int, at: dt.datetime) -> None:
    assert settlement.payee_id is not None  # a payout names its owner
    assert settlement.unclaimed_since_at is not None
    since = settlement.unclaimed_since_at.isoformat()
    publish(
        PayoutUnclaimed(
            deal_id=settlement.reference,
            settlement_id=settlement.pk,
            payee_id=settlement.payee_id,
            amount_nano=settlement.amount_nano,
            day=day,
        ),
        key=f"payout-unclaimed:{settlement.pk}:{since}:{day}",
        at=at,
    )
    if day == REMINDER_DAYS[-1]:
        reason = f"unclaimed for {day} days"
        settlements.tell_stuck(settlement=settlement, reason=reason, at=at)
