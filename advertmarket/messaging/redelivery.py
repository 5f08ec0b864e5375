"""Send again what nobody has handled: Kafka may lose everything that it has confirmed.

A DELIVERED row is looked at 30 s after its delivery, and after each redelivery twice as late as
before: a group that only lags is not flooded. A row is settled once every group that handles its
type has handled the event or set it aside. Consumers recognise what they handled, and expect an
event that was lost behind younger ones of its lane.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet

from . import consumer
from .metrics import OUTBOX
from .models import DeadLetter, OutboxMessage, ProcessedEvent

logger = logging.getLogger(__name__)

CHECK_AFTER_S = 30
REDELIVERIES_MAX = 12
"""The last goes out a day and a half after the delivery, and is given up after as long again."""

BATCH_SIZE = 1_000

Status = OutboxMessage.Status


def redeliver(*, at: datetime) -> None:
    """Have the relay send again what is due and not handled, at most a batch; settle the rest.

    With a row go the unhandled ones before it in its lane, due or not: these keep their order.
    """
    while _settle_batch(at):
        pass


@transaction.atomic
def _settle_batch(at: datetime) -> bool:
    """Look at the rows that have been due longest; return whether to look at more in this run."""
    due = _unsettled().filter(check_at__lte=at).order_by("check_at")
    keys = list(due.values_list("key", flat=True)[:BATCH_SIZE])
    rows = list(
        _unsettled().filter(key__in=set(keys)).order_by("id").select_for_update(no_key=True)
    )
    missing = _missing(rows)
    last_due = {
        (row.topic, row.key): row.pk for row in missing if row.check_at and row.check_at <= at
    }
    lost = [row for row in missing if row.pk <= last_due.get((row.topic, row.key), 0)]
    hopeless = _ids(row for row in lost if row.redeliveries >= REDELIVERIES_MAX)
    again = _ids(lost) - hopeless
    settled = _ids(rows) - _ids(missing) | hopeless
    OutboxMessage.objects.filter(pk__in=settled).update(check_at=None)
    OutboxMessage.objects.filter(pk__in=again).update(
        status=Status.PENDING, delivered_at=None, check_at=None, redeliveries=F("redeliveries") + 1
    )
    OUTBOX.labels("again").inc(len(again))
    OUTBOX.labels("given_up").inc(len(hopeless))
    if again:
        logger.warning("not handled so far, to be sent again: outbox rows %s", sorted(again))
    if hopeless:
        logger.critical("never handled, given up: outbox rows %s", sorted(hopeless))
    return len(keys) == BATCH_SIZE and not again


def _unsettled() -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(status=Status.DELIVERED, check_at__isnull=False)


def _missing(rows: Collection[OutboxMessage]) -> list[OutboxMessage]:
    """Return those that a group which handles their type has neither handled nor set aside."""
    ids = [row.event_id for row in rows]
    done: set[tuple[str, UUID | None]] = set()
    for model in (ProcessedEvent, DeadLetter):
        done.update(model.objects.filter(event_id__in=ids).values_list("group", "event_id"))
    return [
        row
        for row in rows
        if any((group, row.event_id) not in done for group in consumer.groups_of(row.event_type))
    ]


def _ids(rows: Iterable[OutboxMessage]) -> set[int]:
    return {row.pk for row in rows}
