"""Work that nobody does: Celery's queues by their heartbeats, tables by their oldest due row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from advertmarket.celery import DEFAULT_QUEUE, SIGNER_QUEUE, TELEGRAM_QUEUE
from advertmarket.messaging.models import OutboxMessage
from advertmarket.telegram.models import PENDING, ChatQueue, OutgoingMessage, Update
from ops.incidents.causes import Cause, list_of, moment, page_of
from ops.models import QueueHeartbeat
from ops.query import rows

from . import detector

SILENT_AFTER = dt.timedelta(seconds=60)
"""Six heartbeats."""

STANDS_AFTER = dt.timedelta(minutes=5)
"""What is due is taken within seconds, and a worker that dies with a lease holds it for one minute;
a handler that fails is tried again for under three."""

RECENT = dt.timedelta(hours=24)

_KIND_OF_QUEUE = {
    DEFAULT_QUEUE: "money_queue_silent",
    SIGNER_QUEUE: "money_queue_silent",
    TELEGRAM_QUEUE: "telegram_queue_silent",
}

_TELEGRAM_STANDS = ("telegram_queue_silent", "telegram_away", "telegram_refused")
"""What explains that Telegram's tables stand still, and no other one."""

_SETTLEMENTS = """
SELECT count(*) OVER (), id::text, due_at FROM settlements
 WHERE state IN ('QUEUED', 'SIGNED', 'SUBMITTED') AND due_at < %(before)s
   AND (leased_until IS NULL OR leased_until < %(before)s)
 ORDER BY due_at LIMIT 1
"""

_DEPOSITS = """
SELECT count(*) OVER (), deposit.chain_transaction_id::text, deposit.seen_at
  FROM deposits deposit CROSS JOIN chain_cursor
 WHERE deposit.state = 'CONFIRMING' AND deposit.seen_at < %(before)s
   AND deposit.confirmed_at_seqno + %(blocks)s <= chain_cursor.head_seqno
 ORDER BY deposit.seen_at LIMIT 1
"""

_BLOCKS = 20
"""A deposit is due for a few blocks before its rule is applied; a large one confirms for longer
than five minutes, so that its age alone says nothing."""


@detector()
def queues_work() -> Iterator[Cause]:
    """A Celery queue has not done for a minute what beat asks of it every 10 s, or none has."""
    beaten = dict(QueueHeartbeat.objects.values_list("queue", "beaten_at"))
    before = timezone.now() - SILENT_AFTER
    silent = {
        queue: at for queue in _KIND_OF_QUEUE if (at := beaten.get(queue)) is None or at < before
    }
    if silent.keys() == _KIND_OF_QUEUE.keys():
        last = max(filter(None, silent.values()), default=None)
        yield Cause("celery_silent", facts={"beaten_at": moment(last)}, since=last)
    for queue, beaten_at in silent.items():
        facts = {"queue": queue, "beaten_at": moment(beaten_at)}
        yield Cause(_KIND_OF_QUEUE[queue], key=queue, facts=facts, since=beaten_at)


@detector(every_s=10)
def events_are_sent() -> Iterator[Cause]:
    """Events wait in the outbox, or can never be sent."""
    failed = OutboxMessage.objects.filter(status=OutboxMessage.Status.FAILED)
    if first := failed.order_by("id").first():
        yield Cause(
            "outbox_failed",
            facts={
                "count": failed.count(),
                "row": first.pk,
                "event": first.event_type,
                "error": first.error,
            },
            since=first.created_at,
            page=page_of("messaging_outboxmessage", first.pk),
        )
    behind = failed.filter(topic=OuterRef("topic"), key=OuterRef("key"), id__lt=OuterRef("id"))
    waiting = OutboxMessage.objects.filter(
        ~Exists(behind),
        status=OutboxMessage.Status.PENDING,
        redeliveries=0,  # what is sent once more was written long ago
        created_at__lt=timezone.now() - STANDS_AFTER,
    )
    if oldest := waiting.order_by("id").first():
        topics = waiting.order_by("topic").values_list("topic", flat=True).distinct()
        yield Cause(
            "outbox_waits",
            facts={"count": waiting.count(), "topics": ", ".join(topics)},
            since=oldest.created_at,
            page=list_of("messaging_outboxmessage"),
        )


@detector(every_s=10)
def due_rows_are_taken() -> Iterator[Cause]:
    """A table that workers take due rows from stands still."""
    before = timezone.now() - STANDS_AFTER
    parameters = {"before": before, "blocks": _BLOCKS}
    for count, row, due_at in rows(_SETTLEMENTS, parameters):
        yield _stands("settlements", count, row, due_at, page_of("payments_settlement", row))
    for count, row, due_at in rows(_DEPOSITS, parameters):
        yield _stands("deposits", count, row, due_at, page_of("payments_deposit", row))
    for model in (Update, OutgoingMessage):
        queue = model._default_manager
        older = queue.filter(chat_id=OuterRef("chat_id"), state=PENDING, pk__lt=OuterRef("pk"))
        due = queue.filter(~Exists(older), state=PENDING, due_at__lt=before)
        if oldest := due.order_by("pk").first():
            yield _stands_in_chats(model, due.count(), oldest)


@detector(every_s=30)
def people_are_told() -> Iterator[Cause]:
    """Messages about money of the last day were refused, or their recipients closed the chat."""
    states = OutgoingMessage.State
    unsent = OutgoingMessage.objects.filter(
        about_money=True,
        state__in=[states.FAILED, states.UNREACHABLE],
        created_at__gt=timezone.now() - RECENT,
    )
    if last := unsent.order_by("id").last():
        counted = unsent.aggregate(
            failed=Count("id", filter=Q(state=states.FAILED)),
            unreachable=Count("id", filter=Q(state=states.UNREACHABLE)),
        )
        yield Cause(
            "notices_failed",
            facts={"count": sum(counted.values()), **counted, "error": last.error or "—"},
            page=page_of("telegram_outgoingmessage", last.pk),
        )


def _stands(
    table: str,
    count: int,
    row: object,
    due_at: dt.datetime,
    page: str,
    hidden_by: tuple[str, ...] = (),
) -> Cause:
    facts = {"table": table, "count": count, "row": str(row), "due_at": moment(due_at)}
    return Cause(
        "table_stands", key=table, facts=facts, since=due_at, page=page, hidden_by=hidden_by
    )


def _stands_in_chats(model: type[ChatQueue], count: int, oldest: ChatQueue) -> Cause:
    meta = model._meta
    page = page_of(f"{meta.app_label}_{meta.model_name}", oldest.pk)
    return _stands(meta.db_table, count, oldest.pk, oldest.due_at, page, _TELEGRAM_STANDS)
