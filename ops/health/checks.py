"""What is looked at: each check returns its figures, or raises what is wrong.

Durations end in S or Ms. The figures are for operators; the public is told UP or DOWN alone.
"""

from __future__ import annotations

import datetime as dt
import functools
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from advertmarket.celery import SIGNER_QUEUE, TELEGRAM_QUEUE, app
from advertmarket.messaging import heartbeat, kafka
from advertmarket.messaging.topics import TOPICS
from advertmarket.telegram.client import bot
from advertmarket.telegram.content import WebhookInfo
from ops.query import rows
from payments.selectors import network_head
from payments.thresholds import MAX_CLOCK_SKEW

from .probes import LIMIT_S, Check, Details, Unwell

DISK_FULL_PERCENT = 90
STANDS_STILL_AFTER = dt.timedelta(seconds=60)
"""Due work that nobody has taken, and a chain reader that has not looked, for longer than this."""

WEBHOOK_ERROR_FRESH = dt.timedelta(minutes=5)
"""Telegram tries again within two minutes; after five an error is over."""

TOO_MANY_PENDING = 100
"""Telegram brings 40 at a time, and each is answered in milliseconds."""

_QUEUES = (app.conf.task_default_queue, SIGNER_QUEUE, TELEGRAM_QUEUE)

_DATABASE = """
SELECT count(*), current_setting('max_connections')::int,
       count(*) FILTER (WHERE wait_event_type = 'Lock'),
       coalesce(extract(epoch FROM now() - min(xact_start)), 0),
       pg_database_size(current_database())
  FROM pg_stat_activity WHERE backend_type = 'client backend'
"""

_OUTBOX = """
SELECT count(*) FILTER (WHERE status = 'PENDING'),
       extract(epoch FROM now() - min(created_at) FILTER (WHERE status = 'PENDING')),
       count(*) FILTER (WHERE status = 'FAILED')
  FROM notification_outbox WHERE status IN ('PENDING', 'FAILED')
"""

_DUE = """
SELECT 'settlements', count(*), extract(epoch FROM now() - min(due_at)) FROM settlements
 WHERE state IN ('QUEUED', 'SIGNED', 'SUBMITTED') AND due_at <= now()
   AND (leased_until IS NULL OR leased_until < now())
UNION ALL
SELECT 'updates', count(*), extract(epoch FROM now() - min(due_at)) FROM telegram_updates
 WHERE state = 'PENDING' AND due_at <= now()
UNION ALL
SELECT 'messages', count(*), extract(epoch FROM now() - min(due_at)) FROM telegram_outgoing
 WHERE state = 'PENDING' AND due_at <= now()
"""

_CURSOR = """
SELECT extract(epoch FROM now() - read_at), extract(epoch FROM now() - block_at), head_seqno - seqno
  FROM chain_cursor
"""


def check_db() -> Details:
    """PostgreSQL answers; how many are connected, how long the longest database transaction is."""
    with _measured() as details:
        rows("SELECT 1")
    [(used, most, waiting, longest_s, size)] = rows(_DATABASE)
    return details | {
        "connections": used,
        "maxConnections": most,
        "waitingForLocks": waiting,
        "longestTransactionS": round(float(longest_s), 1),
        "sizeBytes": size,
    }


def check_migrations() -> Details:
    """The database has every migration of the code."""
    applied = set(rows("SELECT app, name FROM django_migrations"))
    missing = sorted(".".join(name) for name in _migrations_of_the_code() - applied)
    if missing:
        raise Unwell(f"not applied: {', '.join(missing)}", {"missing": missing})
    return {}


def check_redis() -> Details:
    """Redis answers; what its memory and its disk do."""
    with redis.Redis.from_url(
        settings.REDIS_STATE_URL,
        socket_connect_timeout=LIMIT_S,
        socket_timeout=LIMIT_S,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        with _measured() as details:
            client.ping()
        told = client.info()
    return details | {
        "usedMemoryBytes": told.get("used_memory"),
        "maxMemoryBytes": told.get("maxmemory"),
        "maxMemoryPolicy": told.get("maxmemory_policy"),
        "appendOnly": bool(told.get("aof_enabled")),
        "clients": told.get("connected_clients"),
    }


def check_kafka() -> Details:
    """A broker answers; which of our topics are missing."""
    with _measured() as details:
        cluster = kafka.ping(timeout_s=LIMIT_S * 0.75)
    missing = sorted({topic.name for topic in TOPICS} - cluster.topics)
    return details | {"brokers": cluster.brokers, "missingTopics": missing}


def check_ton() -> Details:
    """TON Center answers, and its last block is of now."""
    with _measured() as details:
        head = network_head()
    age_s = round((timezone.now() - head.at).total_seconds(), 1)
    details |= {"headSeqno": head.seqno, "headAgeS": age_s}
    if abs(age_s) > MAX_CLOCK_SKEW.total_seconds():
        raise Unwell(f"its last block is {age_s} s old", details)
    return details


def check_telegram() -> Details:
    """The Bot API answers, and brings its updates to our webhook."""
    with _measured() as details:
        info = bot().get_webhook_info()
    details |= {"webhook": info.url, "pendingUpdates": info.pending}
    if info.last_error_at is not None:
        age = timezone.now() - info.last_error_at
        details |= {"lastError": info.last_error, "lastErrorAgeS": round(age.total_seconds())}
    if problem := webhook_problem(info, at=timezone.now()):
        raise Unwell(problem, details)
    return details


def webhook_problem(info: WebhookInfo, *, at: dt.datetime) -> str:
    """Return why updates do not arrive, or nothing.

    Telegram failed to bring one a moment ago, or too many wait there, or it has no address of ours.
    """
    if not info.url:
        return "no webhook is registered"
    failed_at = info.last_error_at
    fails = failed_at is not None and at - failed_at < WEBHOOK_ERROR_FRESH
    if info.pending >= TOO_MANY_PENDING or (fails and info.pending > 0):
        return f"{info.pending} updates wait: {info.last_error or 'no error is told'}"
    return ""


def check_workers() -> Details:
    """Consumers say that they live, the chain is read, and what is due is taken."""
    details: Details = {"groups": {}, "queues": {}}
    problems = [*_look_at_groups(details), *_look_at_chain(details), *_look_at_due(details)]
    if problems:
        raise Unwell("; ".join(problems), details)
    return details


def check_outbox() -> Details:
    """Events leave for Kafka."""
    [(pending, oldest_s, failed)] = rows(_OUTBOX)
    age_s = round(float(oldest_s or 0), 1)
    details: Details = {"pending": pending, "oldestS": age_s, "failed": failed}
    if failed:
        raise Unwell(f"{failed} can never be sent", details)
    if age_s > STANDS_STILL_AFTER.total_seconds():
        raise Unwell(f"the oldest has waited for {age_s:.0f} s", details)
    return details


def check_disk() -> Details:
    """The disk of DISK_PATH has room: by default this container's, on one host everybody's."""
    usage = shutil.disk_usage(settings.DISK_PATH)
    used_percent = round(100 * usage.used / (usage.used + usage.free), 1)  # as df counts
    details: Details = {
        "freeBytes": usage.free,
        "totalBytes": usage.total,
        "usedPercent": used_percent,
    }
    if used_percent >= DISK_FULL_PERCENT:
        raise Unwell(f"{used_percent} % are used", details)
    return details


CHECKS: dict[str, Check] = {
    "db": check_db,
    "migrations": check_migrations,
    "redis": check_redis,
    "kafka": check_kafka,
    "ton": check_ton,
    "telegram": check_telegram,
    "workers": check_workers,
    "outbox": check_outbox,
    "disk": check_disk,
}


def _look_at_groups(details: Details) -> Iterator[str]:
    details["groups"] = told = {}
    try:
        for group in heartbeat.groups():
            told[group.name] = {
                "instances": len(group.instances),
                "states": sorted(group.states),
                "lag": group.lag,
            }
            if not group.instances:
                yield f"{group.name} gives no sign of life"
            elif "stopped" in group.states:
                yield f"{group.name} has stopped"
        details["queues"] = _queue_lengths()
    except redis.RedisError as away:
        yield f"Redis does not tell of consumers: {type(away).__name__}"


def _queue_lengths() -> dict[str, int]:
    with (
        redis.Redis.from_url(
            settings.CELERY_BROKER_URL, socket_timeout=1, retry=Retry(NoBackoff(), 0)
        ) as broker,
        broker.pipeline(transaction=False) as asked,
    ):
        for queue in _QUEUES:
            asked.llen(queue)
        return dict(zip(_QUEUES, asked.execute(), strict=True))


def _look_at_chain(details: Details) -> Iterator[str]:
    found = rows(_CURSOR)
    if not found:
        yield "the chain was never read"
    for read_s, block_s, behind in found:
        details["chain"] = {
            "readAgeS": round(float(read_s), 1),
            "blockAgeS": round(float(block_s), 1),
            "blocksBehind": behind,
        }
        if read_s > STANDS_STILL_AFTER.total_seconds():
            yield f"the chain was read {read_s:.0f} s ago"


def _look_at_due(details: Details) -> Iterator[str]:
    details["due"] = due = {}
    for name, count, oldest_s in rows(_DUE):
        due[name] = {"count": count, "oldestS": round(float(oldest_s or 0), 1)}
        if (oldest_s or 0) > STANDS_STILL_AFTER.total_seconds():
            yield f"{count} {name} are due, the oldest for {oldest_s:.0f} s"


@contextmanager
def _measured() -> Iterator[Details]:
    details: Details = {}
    began = time.monotonic()
    yield details
    details["latencyMs"] = round((time.monotonic() - began) * 1000, 1)


@functools.cache
def _migrations_of_the_code() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).disk_migrations or {})
