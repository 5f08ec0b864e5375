"""Consumer groups, by their heartbeats in Redis, and what they set aside."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db.models import Count, Max
from django.utils import timezone
from redis.exceptions import RedisError

from advertmarket.messaging import consumer, heartbeat
from advertmarket.messaging.models import DeadLetter
from advertmarket.messaging.topics import DEAL_EVENTS
from ops.incidents.causes import Cause, page_of

from . import Untold, detector

RECENT = dt.timedelta(hours=24)
CRITICAL_LAG = {DEAL_EVENTS.name: 2_000}
OTHERS_CRITICAL_LAG = 500
"""Records of a topic that nobody has handled: the design's limits, lower where money is meant."""


@detector(every_s=10)
def consumers_work() -> Iterator[Cause]:
    """A group has no reader, has stopped, stands still at a record, or lags far behind."""
    try:
        groups = heartbeat.groups()
    except RedisError as away:
        raise Untold from away
    if not any(group.instances for group in groups):
        yield Cause("consumers_silent")
    for group in groups:
        yield from _of_group(group)


@detector(every_s=30)
def records_are_applied() -> Iterator[Cause]:
    """A group has set records aside within the last day."""
    recent = DeadLetter.objects.filter(created_at__gt=timezone.now() - RECENT)
    for found in recent.values("group").annotate(count=Count("id"), last=Max("id")):
        last = DeadLetter.objects.get(pk=found["last"])
        facts = {"group": last.group, "count": found["count"], "error": last.error}
        page = page_of("messaging_deadletter", last.pk)
        yield Cause("dead_letters", key=last.group, facts=facts, page=page)


def _of_group(group: heartbeat.Group) -> Iterator[Cause]:
    name, limit = group.name, _lag_limit(group.name)
    facts = {"group": name, "lag": group.lag, "limit": limit}
    if not group.instances:
        yield Cause("consumer_silent", key=name, facts={"group": name})
    if "stopped" in group.states:
        yield Cause("consumer_stopped", key=name, facts=facts)
    if "retrying" in group.states:
        yield Cause("consumer_stalled", key=name, facts=facts)
    if group.lag >= limit:
        yield Cause("consumer_lag", key=name, facts=facts)


def _lag_limit(group: str) -> int:
    topics = consumer.topics_of(group)
    return min(CRITICAL_LAG.get(topic, OTHERS_CRITICAL_LAG) for topic in topics)
