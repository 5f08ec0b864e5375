"""PostgreSQL, Redis, Kafka and the disk: that they answer, and keep what they are told."""

from __future__ import annotations

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from advertmarket.messaging.topics import TOPICS
from ops.health import checks
from ops.query import rows
from payments.selectors import pause_state

from .verdicts import Failed, Skipped

_OLDEST_POSTGRESQL = 18
_TIMEOUT_S = 3.0


def look_at_postgresql() -> str:
    """It answers, and is new enough."""
    told = checks.check_db()
    [(version,)] = rows("SHOW server_version_num")
    major = int(version) // 10_000
    if major < _OLDEST_POSTGRESQL:
        raise Failed(f"PostgreSQL {major}", f"PostgreSQL {_OLDEST_POSTGRESQL} or newer")
    return f"PostgreSQL {major}, {told['connections']} of {told['maxConnections']} connections"


def look_at_migrations() -> str:
    """The database is as new as the code."""
    checks.check_migrations()
    return "all are applied"


def look_at_redis() -> str:
    """It forgets nothing: neither when its memory is full, nor when it is started again."""
    with redis.Redis.from_url(
        settings.REDIS_STATE_URL,
        socket_connect_timeout=_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        decode_responses=True,
        retry=Retry(NoBackoff(), 0),
    ) as client:
        told = client.info()
        if (policy := told["maxmemory_policy"]) != "noeviction":
            raise Failed(f"maxmemory-policy is {policy}", "maxmemory-policy noeviction")
        if not told["aof_enabled"]:
            raise Failed("it keeps nothing on disk", "appendonly yes, appendfsync always")
        try:
            fsync = client.config_get("appendfsync").get("appendfsync")
        except ResponseError as refusal:
            raise Skipped(f"it does not tell its appendfsync: {refusal}") from refusal
    if fsync != "always":
        raise Failed(f"appendfsync is {fsync}: a pause could be lost", "appendfsync always")
    return f"{told['redis_version']}, noeviction, appendfsync always"


def look_at_epoch() -> str:
    """Redis may be trusted with the pause."""
    state = pause_state()
    if state.redis_is_away:
        raise Skipped(state.reasons[0])
    if state.epoch_problem:
        raise Failed(state.epoch_problem, "")
    paused = f"; payouts are paused: {state.reasons[0]}" if state.paused else ""
    return f"it stands{paused}"


def look_at_kafka() -> str:
    """A broker answers."""
    told = checks.check_kafka()
    return f"{told['brokers']} brokers, answered in {told['latencyMs']} ms"


def look_at_topics() -> str:
    """Every topic is there."""
    try:
        missing = checks.check_kafka()["missingTopics"]
    except Exception as away:  # Kafka's library stays in its one module: `kafka` says what it is
        raise Skipped(f"Kafka does not tell: {away}") from away
    if missing:
        raise Failed(f"missing: {missing}", "")
    return ", ".join(topic.name for topic in TOPICS)


def look_at_disk() -> str:
    """There is room."""
    told = checks.check_disk()
    return f"{told['usedPercent']} % used"
