"""Alarms that reach nobody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db.models import Count, Max, Q
from django.utils import timezone

from ops.incidents import alerts
from ops.incidents.causes import Cause, list_of
from ops.models import Alert

from . import detector

LATE_AFTER = dt.timedelta(minutes=5)
"""Four attempts: after that it is no passing fault."""

RECENT = dt.timedelta(hours=24)


@detector(every_s=15)
def alarms_arrive() -> Iterator[Cause]:
    """A recipient's alerts are refused, or have been tried in vain for minutes."""
    now = timezone.now()
    unheard = Alert.objects.filter(
        Q(state=Alert.State.FAILED, created_at__gt=now - RECENT)
        | Q(state=Alert.State.PENDING, attempts__gt=1, created_at__lt=now - LATE_AFTER)
    )
    counted = unheard.values("channel", "recipient").annotate(count=Count("id"), last=Max("id"))
    for found in counted.order_by("channel", "recipient"):
        facts = {
            "channel": found["channel"],
            "recipient": found["recipient"],
            "count": found["count"],
            "error": Alert.objects.get(pk=found["last"]).error or "—",
        }
        yield Cause(
            "alarm_unheard",
            key=f"{found['channel']}:{found['recipient']}",
            facts=facts,
            page=list_of("ops_alert"),
        )


@detector(every_s=60)
def somebody_is_told() -> Iterator[Cause]:
    """No alert of any incident would have a recipient."""
    if not alerts.recipients(level=0):
        yield Cause("alarm_has_no_address")
