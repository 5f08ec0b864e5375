"""Redis database 0: the pause flag, heartbeats and rate limits; never a cache, never cleared."""

from __future__ import annotations

from typing import cast

from django_redis import get_redis_connection
from redis import Redis

ALIAS = "state"


def redis_state() -> Redis:
    """Return this process's client; a call fails after 1 s of silence instead of hanging.

    It is tried once more, at once: the connection in the pool may have been closed.

    Raises (from the client's methods):
        redis.RedisError: Redis is away.
    """
    return cast("Redis", get_redis_connection(ALIAS))
