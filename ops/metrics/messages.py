"""What waits between processes and people: events, records set aside, updates and messages."""

from __future__ import annotations

from collections.abc import Iterable

from ops.query import rows

from . import Row, source

_MOST_COUNTED = 100_000
"""After a long outage nobody needs to know more exactly how much waits."""

_QUEUE = """
SELECT (SELECT count(*) FROM (SELECT FROM {table} WHERE {waits} LIMIT %(most)s) AS waiting),
       coalesce((SELECT extract(epoch FROM now() - created_at) FROM {table} WHERE {waits}
                  ORDER BY id LIMIT 1), 0)
"""

_OUTBOX_FAILED = "SELECT count(*) FROM notification_outbox WHERE status = 'FAILED'"

_DEAD_LETTERS = """
SELECT "group", count(*) FROM dead_letters GROUP BY "group"
"""

_SET_ASIDE = """
SELECT (SELECT count(*) FROM telegram_updates WHERE state = 'SET_ASIDE'),
       (SELECT count(*) FROM (SELECT FROM telegram_outgoing
                               WHERE state IN ('FAILED', 'UNREACHABLE') LIMIT %(most)s) AS unsent)
"""


def _queue(table: str, *, waits: str) -> Iterable[Row]:
    return rows(_QUEUE.format(table=table, waits=waits), {"most": _MOST_COUNTED})


@source(
    outbox_pending="Outbox rows that Kafka does not have yet; at most 100,000 are counted",
    outbox_oldest_age_seconds="How old the oldest of them is",
)
def events_on_their_way() -> Iterable[Row]:
    """By the index on pending ones."""
    return _queue("notification_outbox", waits="status = 'PENDING'")


@source(outbox_failed="Outbox rows that can never be sent, and hold what follows in their lane")
def events_that_failed() -> Iterable[Row]:
    """By the index on failed ones."""
    return rows(_OUTBOX_FAILED)


@source(
    labels=("group",),
    dead_letters="Records that a group could not apply",
)
def dead_letters() -> Iterable[Row]:
    """All of them: a group stops after ten in a row."""
    return rows(_DEAD_LETTERS)


@source(
    telegram_updates_pending="Updates that nobody has handled; at most 100,000 are counted",
    telegram_updates_oldest_age_seconds="How old the oldest of them is",
)
def updates_to_be_handled() -> Iterable[Row]:
    """By the index on pending ones."""
    return _queue("telegram_updates", waits="state = 'PENDING'")


@source(
    telegram_outgoing_pending="Messages that Telegram does not have; at most 100,000 are counted",
    telegram_outgoing_oldest_age_seconds="How old the oldest of them is",
)
def messages_to_be_sent() -> Iterable[Row]:
    """By the index on pending ones."""
    return _queue("telegram_outgoing", waits="state = 'PENDING'")


@source(
    telegram_updates_set_aside="Updates that failed five times",
    telegram_outgoing_unsent="Messages that were given up, or wait for a person to open the chat"
    " again; at most 100,000 are counted",
)
def what_was_given_up() -> Iterable[Row]:
    """By the indexes on those states."""
    return rows(_SET_ASIDE, {"most": _MOST_COUNTED})
