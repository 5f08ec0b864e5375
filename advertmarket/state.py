"""Redis database 0: the pause flag, heartbeats and rate limits; never a cache, never cleared."""

from __future__ import annotations

import functools

import redis
from django.conf import settings

TIMEOUT_S = 1.0


@functools.cache
def redis_state() -> redis.Redis:
    """Return this process's client; every call fails after 1 s instead of hanging.

    Raises (from the client's methods):
        redis.RedisError: Redis is away.
    """
    return redis.Redis.from_url(
        settings.REDIS_STATE_URL,
        socket_connect_timeout=TIMEOUT_S,
        socket_timeout=TIMEOUT_S,
        decode_responses=True,
    )
