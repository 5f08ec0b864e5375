"""Telegram's sending limits, held for all processes in Redis; Telegram itself has the last word.

1 message a second to a chat, 20 a minute to a group, 30 a second in all
(https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this). Rate and burst
together stay within them in any window of that length, with room for what the network delays.
"""

from __future__ import annotations

import logging
import math
import time

from redis.exceptions import RedisError

from advertmarket.ratelimit import RedisAway, take
from advertmarket.state import redis_state

from .errors import NotOurTurn, Unauthorized

logger = logging.getLogger(__name__)

MAX_WAIT_S = 2.0
"""How long a call waits for its turn before it is refused with the time to come back."""

PROBE_EVERY_S = 60
"""With a refused token, one call a minute asks whether it is accepted again."""

_STOPPED = "telegram:stopped"
_Limit = tuple[str, float, int]  # a bucket, its rate per second, its burst


def wait_for_turn(chat_id: int | str, *, max_wait_s: float = MAX_WAIT_S) -> None:
    """Return when a message may go to the chat.

    Raises:
        NotOurTurn: not within `max_wait_s`, because of our limits or a pause that Telegram
            asked for.
    """
    try:
        pause_ms = redis_state().pttl(_pause_key(chat_id))
        if pause_ms > 0:
            raise _later(pause_ms / 1000)
        for limit in _limits(chat_id):
            _wait(*limit, max_wait_s=max_wait_s)
    except (RedisAway, RedisError) as error:
        logger.warning("sending without limits of our own, Redis is away: %s", error)


def pause(chat_id: int | str, seconds: float) -> None:
    """Send nothing to the chat for so long, from any process."""
    _set(_pause_key(chat_id), seconds)


def stop_all() -> None:
    """Let no call through for `PROBE_EVERY_S`, from any process."""
    _set(_STOPPED, PROBE_EVERY_S)


def check_not_stopped() -> None:
    """Refuse while the token is known to be refused.

    Raises:
        Unauthorized: without asking Telegram again.
    """
    try:
        if redis_state().exists(_STOPPED):
            raise Unauthorized(
                "Unauthorized: asked less than a minute ago", code=401, retry_after_s=PROBE_EVERY_S
            )
    except RedisError as error:
        logger.warning("not known whether sending is stopped, Redis is away: %s", error)


def _limits(chat_id: int | str) -> list[_Limit]:
    limits: list[_Limit] = [(f"telegram:chat:{chat_id}", 0.9, 1)]
    if isinstance(chat_id, str) or chat_id < 0:
        limits.append((f"telegram:group:{chat_id}", 15 / 60, 5))
    return [*limits, ("telegram:all", 25, 5)]


def _wait(bucket: str, rate_per_s: float, burst: int, *, max_wait_s: float) -> None:
    while wait_s := take(bucket, rate_per_s=rate_per_s, burst=burst):
        if wait_s > max_wait_s:
            raise _later(wait_s)
        time.sleep(wait_s)


def _later(seconds: float) -> NotOurTurn:
    return NotOurTurn("a limit of our own", code=429, retry_after_s=seconds)


def _pause_key(chat_id: int | str) -> str:
    return f"telegram:pause:{chat_id}"


def _set(key: str, seconds: float) -> None:
    try:
        redis_state().set(key, 1, px=max(1, math.ceil(seconds * 1000)))
    except RedisError as error:
        logger.warning("could not keep %s, Redis is away: %s", key, error)
