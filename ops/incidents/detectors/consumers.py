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
        beats = {group: heartbeat.beats(group) for group in consumer.groups()}
    except RedisError as away:
        raise Untold from away
    if not any(beats.values()):
        yield Cause("consumers_silent")
    for group, instances in beats.items():
        yield from _of_group(group, instances)


@detector(every_s=30)
def records_are_applied() -> Iterator[Cause]:
    """A group has set records aside within the last day."""
    recent = DeadLetter.objects.filter(created_at__gt=timezone.now() - RECENT)
    for found in recent.values("group").annotate(count=Count("id"), last=Max("id")):
        last = DeadLetter.objects.get(pk=found["last"])
        facts = {"group": last.group, "count": found["count"], "error": last.error}
        page = page_of("messaging_deadletter", last.pk)
        yield Cause("dead_letters", key=last.group, facts=facts, page=page)


def _of_group(group: str, instances: list[heartbeat.Beat]) -> Iterator[Cause]:
    states = {instance.status for instance in instances}
    lag, limit = sum(instance.lag for instance in instances), _lag_limit(group)
    facts = {"group": group, "lag": lag, "limit": limit}
    if not instances:
        yield Cause("consumer_silent", key=group, facts={"group": group})
    if "stopped" in states:
        yield Cause("consumer_stopped", key=group, facts=facts)
    if "retrying" in states:
        yield Cause("consumer_stalled", key=group, facts=facts)
    if lag >= limit:
        yield Cause("consumer_lag", key=group, facts=facts)


def _lag_limit(group: str) -> int:
    topics = consumer.topics_of(group)
    return min(CRITICAL_LAG.get(topic, OTHERS_CRITICAL_LAG) for topic in topics)
