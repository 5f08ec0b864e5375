"""Redis database 0: the pause flag, heartbeats and rate limits; never a cache, never cleared."""

from __future__ import annotations

import functools

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_S = 1.0


@functools.cache
def redis_state() -> redis.Redis:
    """Return this process's client; a call fails after 1 s of silence instead of hanging.

    It is tried once more, at once: the connection in the pool may have been closed.

    Raises (from the client's methods):
        redis.RedisError: Redis is away.
    """
    return redis.Redis.from_url(
        settings.REDIS_STATE_URL,
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 1),
        decode_responses=True,
    )
