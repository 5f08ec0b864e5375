"""Consumer groups at work: one thread for each, until SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from . import consumer, heartbeat
from .consumer import Outcome
from .kafka import Partition, Record, Subscription
from .metrics import DURATION_S, HEARTBEAT, LAG, RECORDS, STALLED_S, STOPPED

logger = logging.getLogger(__name__)

POLL_S = 0.5
RETRY_MIN_S, RETRY_MAX_S = 1.0, 60.0
PAGE_AFTER_S = 600.0
DEAD_LETTERS_IN_A_ROW_MAX = 10
STOP_WITHIN_S = 28.0
IDLE_MAX_S = 60.0
"""A group that joined while its topics were away might be given nothing for ever: it joins anew."""


@dataclass
class Waiting:
    """A record that is tried again when due; its partition is paused meanwhile."""

    record: Record
    since: float
    due: float = float("inf")
    attempts: int = 0
    paged: bool = False


class GroupWorker:
    """Reads for one group: a record, its database transaction, the next record.

    After ten dead letters in a row the group, not the records, is taken to be broken. It stops:
    it holds its partitions without handling anything, so that no other instance goes on with the
    destruction and the growing lag is seen, until a person has looked and restarts it.
    """

    def __init__(self, group: str, stop: threading.Event) -> None:
        self.group = group
        self._stop = stop
        self._waiting: dict[Partition, Waiting] = {}
        self._in_a_row = 0
        self._stopped = False
        self._last_message_at: datetime | None = None
        self._next_beat = 0.0
        self._busy_at = 0.0
        for outcome in Outcome:  # the first that is counted is seen to grow from 0
            RECORDS.labels(group, outcome.name.lower())

    def run(self) -> None:
        """Work until told to stop; whatever breaks is logged and begun anew."""
        while not self._stop.is_set():
            try:
                self._work()
            except Exception:
                logger.exception("%s: begins anew in %s s", self.group, RETRY_MIN_S)
                self._stop.wait(RETRY_MIN_S)
            finally:
                connection.close()
        heartbeat.withdraw(self.group)
        logger.info("%s: heartbeat withdrawn, database connection closed", self.group)

    def _work(self) -> None:
        topics = consumer.topics_of(self.group)
        subscription = Subscription(self.group, topics, on_revoked=self._forget)
        logger.info("%s: reads %s", self.group, ", ".join(sorted(topics)))
        self._busy_at = time.monotonic()
        try:
            while not self._stop.is_set() and not self._is_idle(subscription):
                if waiting := self._next_due():
                    self._attempt(subscription, waiting)
                if record := subscription.poll(self._poll_s()):
                    self._attempt(subscription, record)
                self._beat(subscription)
            logger.info("%s: the record in hand is finished, none is fetched", self.group)
        finally:
            self._leave(subscription)

    def _leave(self, subscription: Subscription) -> None:
        try:
            subscription.commit()
            logger.info("%s: offsets committed", self.group)
        except Exception as error:  # what was done is recognised when it is read again
            logger.warning("%s: offsets not committed: %s", self.group, error)
        subscription.close()
        self._forget(list(self._waiting))
        logger.info("%s: left the group", self.group)

    def _is_idle(self, subscription: Subscription) -> bool:
        now = time.monotonic()
        if not subscription.is_idle():
            self._busy_at = now
        return now - self._busy_at > IDLE_MAX_S

    def _next_due(self) -> Record | None:
        now = time.monotonic()
        return next((w.record for w in self._waiting.values() if w.due <= now), None)

    def _poll_s(self) -> float:
        next_due = min((w.due for w in self._waiting.values()), default=float("inf"))
        return max(0.0, min(POLL_S, next_due - time.monotonic()))

    def _attempt(self, subscription: Subscription, record: Record) -> None:
        if self._stopped:
            self._hold(subscription, record)
            return
        try:
            with DURATION_S.labels(self.group).time():
                outcome = consumer.process(record, group=self.group, at=timezone.now())
        except Exception as error:
            self._postpone(self._hold(subscription, record), error)
            return
        finally:
            connection.close()
        subscription.done(record)
        if self._waiting.pop(record.place, None):
            subscription.resume(record.place)
            STALLED_S.labels(self.group, *map(str, record.place)).set(0)
            logger.info("%s: %s goes on", self.group, record.place)
        RECORDS.labels(self.group, outcome.name.lower()).inc()
        self._last_message_at = timezone.now()
        self._count(outcome)

    def _hold(self, subscription: Subscription, record: Record) -> Waiting:
        """Keep `record` in hand; its partition waits for it, the others go on."""
        if record.place not in self._waiting:
            subscription.pause(record.place)
            self._waiting[record.place] = Waiting(record, since=time.monotonic())
        return self._waiting[record.place]

    def _postpone(self, waiting: Waiting, error: Exception) -> None:
        """Have it tried again later: after 1 s in an outage, otherwise ever later up to 60 s."""
        outage = isinstance(error, OperationalError | InterfaceError)
        delay = RETRY_MIN_S if outage else RETRY_MIN_S * 2.0 ** min(waiting.attempts, 10)
        waiting.attempts += 1
        waiting.due = time.monotonic() + min(delay, RETRY_MAX_S)
        logger.warning(
            "%s: %s waits at offset %s, attempt %s failed: %r",
            *(self.group, waiting.record.place, waiting.record.offset, waiting.attempts, error),
            exc_info=None if outage else error,
        )
        if time.monotonic() - waiting.since > PAGE_AFTER_S and not waiting.paged:
            waiting.paged = True
            logger.critical("%s: %s stands still", self.group, waiting.record.place)

    def _count(self, outcome: Outcome) -> None:
        if outcome is Outcome.HANDLED:
            self._in_a_row = 0
        elif outcome is Outcome.DEAD_LETTER:
            self._in_a_row += 1
        if self._in_a_row >= DEAD_LETTERS_IN_A_ROW_MAX:
            self._stopped = True
            for waiting in self._waiting.values():
                waiting.due = float("inf")
            logger.critical("%s: %s dead letters in a row, it stops", self.group, self._in_a_row)

    def _forget(self, partitions: Collection[Partition]) -> None:
        """Drop what waits in partitions that are no longer ours; their new reader begins there."""
        for partition in partitions:
            self._waiting.pop(partition, None)
            for gauge in (LAG, STALLED_S):
                gauge.remove(self.group, *map(str, partition))

    def _beat(self, subscription: Subscription) -> None:
        now = time.monotonic()
        if now < self._next_beat:
            return
        self._next_beat = now + heartbeat.INTERVAL_S
        lags = subscription.lags({p: w.record.offset for p, w in self._waiting.items()})
        for partition, lag in lags.items():
            LAG.labels(self.group, *map(str, partition)).set(lag)
        for partition, waiting in self._waiting.items():
            STALLED_S.labels(self.group, *map(str, partition)).set(now - waiting.since)
        STOPPED.labels(self.group).set(self._stopped)
        HEARTBEAT.labels(self.group).set_to_current_time()
        heartbeat.beat(
            self.group,
            status="stopped" if self._stopped else "retrying" if self._waiting else "running",
            lag=sum(lags.values()),
            last_message_at=self._last_message_at,
            at=timezone.now(),
        )


def run(groups: Collection[str]) -> None:
    """Run the groups in this process until SIGTERM or SIGINT; then end within 30 s.

    Whoever is not done by then is cut off: a handler's database transaction rolls back, and a
    broker that is away learns from the session's end that the member has left.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [
        threading.Thread(target=GroupWorker(group, stop).run, name=group, daemon=True)
        for group in groups
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    logger.info("told to stop: finishing the records in hand")
    deadline = time.monotonic() + STOP_WITHIN_S
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if late := [thread.name for thread in threads if thread.is_alive()]:
        logger.error("still at work after %s s, cut off: %s", STOP_WITHIN_S, ", ".join(late))
        os._exit(1)
    logger.info("stopped")
