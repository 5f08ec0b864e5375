"""What Redis remembers of the audit log's chain: its last block.

A chain cannot tell by itself that its end was cut off. Redis is another store than the database,
so whoever has the database alone cannot make it forget.
"""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from advertmarket.state import redis_state

logger = logging.getLogger(__name__)

KEY = "system:audit_seal"


class WitnessAway(Exception):
    """Redis does not say what it remembers: there may be a last block, or none."""


def remember(number: int, digest: str) -> None:
    """Note the last block. If Redis is away nothing is noted; the next block will be."""
    try:
        redis_state().set(KEY, f"{number}:{digest}")
    except RedisError as away:
        logger.warning("Redis did not note audit seal %s: %r", number, away)


def remembered() -> tuple[int, str] | None:
    """Return number and digest of the block noted last; None if there is none.

    Raises:
        WitnessAway: Redis is away.
    """
    try:
        noted = redis_state().get(KEY)
    except RedisError as away:
        raise WitnessAway("Redis is away: who knows where the audit log ended") from away
    if noted is None:
        return None
    number, _, digest = str(noted).partition(":")
    return int(number), digest


def forget() -> None:
    """Note nothing any more: the database was restored, and its chain may end earlier.

    Raises:
        redis.RedisError: Redis is away.
    """
    redis_state().delete(KEY)
