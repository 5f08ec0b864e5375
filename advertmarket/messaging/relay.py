"""Carry the outbox to Kafka: in order, at least once, one relay at a time.

A record is sent, confirmed by the broker, and then marked. A crash in between sends it again, and
consumers recognise its event id; no crash can lose it. While the broker is waited for, nothing in
the database is locked but the advisory lock that makes this relay the only one.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeAlias

from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone
from pydantic import ValidationError

from .envelope import CORRELATION_ID, Envelope, sign
from .kafka import BrokerAway, Outgoing, Sender
from .metrics import OUTBOX
from .models import OutboxMessage
from .redelivery import CHECK_AFTER_S

logger = logging.getLogger(__name__)

BATCH_SIZE = 500
MAX_BODY_BYTES = 900_000
CONFIRM_TIMEOUT_S = 10.0
_LEADER_LOCK = 0x6F7574626F78
_SENDER_NAME = f"{settings.PROCESS_ROLE}@{socket.gethostname()}"

_MARK = """
    UPDATE notification_outbox SET status = 'DELIVERED', delivered_at = %(at)s, error = '',
        check_at = %(at)s + make_interval(secs => %(check_after_s)s * 2 ^ redeliveries)
    WHERE id = ANY(%(ids)s) AND status = 'PENDING'
"""

Lane: TypeAlias = tuple[str, str]
Status = OutboxMessage.Status

_sender = Sender()


class Unsendable(Exception):
    """This row can never be sent as it is."""


def relay() -> None:
    """Send all that is due, or return at once if another relay is at it.

    A row committed while another relay leads is not left behind: the leader looks again after it
    has let go of the lock. If the broker is away, this returns within 10 s and leaves the rows as
    they were; so it leaves those whose topic does not exist, and sends the others.
    """
    absent: set[str] = set()
    while True:
        with _leadership() as leads:
            if not leads or not _drain(absent):
                return
        if not _due(absent).exists():
            return


def _drain(absent: set[str]) -> bool:
    """Send batch after batch; return False if the broker did not confirm all of one.

    Topics that turn out not to exist are added to `absent`.
    """
    while batch := list(_due(absent)[:BATCH_SIZE]):
        try:
            new = _sender.absent({row.topic for row in batch}, timeout_s=CONFIRM_TIMEOUT_S)
        except BrokerAway as error:
            logger.warning("Kafka does not say which topics there are: %s", error)
            return False
        for topic in new:
            logger.error("the topic %s does not exist, its events wait for create_topics", topic)
        absent |= new
        if not _Batch([row for row in batch if row.topic not in absent]).send():
            return False
    return True


@contextmanager
def _leadership() -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LEADER_LOCK])
        leads = bool(cursor.fetchone()[0])
        try:
            yield leads
        finally:
            if leads:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LEADER_LOCK])


def _due(absent: Collection[str]) -> QuerySet[OutboxMessage]:
    """Rows to be sent, oldest first: no topic of `absent`, none behind a FAILED one of its lane."""
    failed_before = OutboxMessage.objects.filter(
        status=Status.FAILED, topic=OuterRef("topic"), key=OuterRef("key"), id__lt=OuterRef("id")
    )
    pending = OutboxMessage.objects.filter(~Exists(failed_before), status=Status.PENDING)
    return pending.exclude(topic__in=absent).order_by("id")


class _Batch:
    """Some rows in order of id; once one of a lane fails, the lane's others wait."""

    def __init__(self, rows: Sequence[OutboxMessage]) -> None:
        self._rows = rows
        self._held: set[Lane] = set()

    def send(self) -> bool:
        """Send, and mark what the broker confirmed; return whether every row is settled."""
        sending = self._prepare(timezone.now())
        report = _sender.send([record for _, record in sending], timeout_s=CONFIRM_TIMEOUT_S)
        confirmed = report.confirmed
        if report.refused:
            # The broker refuses whole wire batches; alone, only the guilty one is refused.
            confirmed |= self._send_one_by_one(sending, confirmed)
        self._mark_delivered([row for row, _ in sending], confirmed)
        return all(i in confirmed or _lane(row) in self._held for i, (row, _) in enumerate(sending))

    def _prepare(self, at: datetime) -> list[tuple[OutboxMessage, Outgoing]]:
        sending = []
        for row in self._rows:
            if _lane(row) not in self._held:
                try:
                    sending.append((row, _record(row, at)))
                except Unsendable as error:
                    self._fail(row, str(error))
        return sending

    def _send_one_by_one(
        self, sending: Sequence[tuple[OutboxMessage, Outgoing]], confirmed: set[int]
    ) -> set[int]:
        now_confirmed = set()
        for index, (row, record) in enumerate(sending):
            if index in confirmed or _lane(row) in self._held:
                continue
            report = _sender.send([record], timeout_s=CONFIRM_TIMEOUT_S)
            if report.refused:
                self._fail(row, report.refused[0])
            elif report.confirmed:
                now_confirmed.add(index)
            else:
                break
        return now_confirmed

    def _mark_delivered(self, rows: Sequence[OutboxMessage], confirmed: set[int]) -> None:
        """Mark, in one statement, the rows whose lane is confirmed up to and including them."""
        broken: set[Lane] = set()
        ids = []
        for index, row in enumerate(rows):
            if index in confirmed and _lane(row) not in broken:
                ids.append(row.pk)
            else:
                broken.add(_lane(row))
        with connection.cursor() as cursor:
            cursor.execute(
                _MARK, {"at": timezone.now(), "ids": ids, "check_after_s": CHECK_AFTER_S}
            )
        OUTBOX.labels("delivered").inc(len(ids))

    def _fail(self, row: OutboxMessage, error: str) -> None:
        logger.error("outbox row %s can never be sent, its lane waits: %s", row.pk, error)
        self._held.add(_lane(row))
        OutboxMessage.objects.filter(pk=row.pk, status=Status.PENDING).update(
            status=Status.FAILED, error=error, attempts=F("attempts") + 1
        )
        OUTBOX.labels("failed").inc()


def _lane(row: OutboxMessage) -> Lane:
    return row.topic, str(row.key)


def _record(row: OutboxMessage, at: datetime) -> Outgoing:
    try:
        envelope = Envelope(
            event_id=row.event_id,
            event_type=row.event_type,
            deal_id=row.key,
            timestamp=row.created_at,
            version=row.version,
            correlation_id=row.correlation_id,
            payload=row.payload,
        )
    except ValidationError as error:
        raise Unsendable(f"not an event: {error}") from error
    body = envelope.to_body()
    if len(body) > MAX_BODY_BYTES:
        raise Unsendable(f"{len(body)} bytes are more than the {MAX_BODY_BYTES} allowed")
    headers = sign(body, topic=row.topic, sender=_SENDER_NAME, at=at)
    headers.append((CORRELATION_ID, str(row.correlation_id).encode()))
    return Outgoing(row.topic, str(row.key).encode(), body, headers)
