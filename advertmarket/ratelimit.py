"""Rate limits shared by all processes: GCRA, one key of Redis per limit, Redis' own clock.

https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
"""

from __future__ import annotations

from dataclasses import dataclass

from redis.exceptions import RedisError

from .state import redis_state

_GCRA = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval = tonumber(ARGV[1])
local tolerance = interval * tonumber(ARGV[2])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local next_arrival = arrival + interval
local wait = next_arrival - tolerance - now
if wait > 0 then
    return {math.ceil(wait), 0, math.ceil(arrival - now)}
end
redis.call('SET', KEYS[1], string.format('%.0f', next_arrival),
           'PX', math.ceil((next_arrival - now) / 1000))
return {0, math.floor((tolerance - (next_arrival - now)) / interval),
        math.ceil(next_arrival - now)}
"""


class RedisAway(Exception):
    """Redis did not answer, so nobody knows how much was taken."""


@dataclass(frozen=True)
class Taken:
    """What a limit says: how long to wait (0 = go), how many are left now, when all are back."""

    wait_s: float
    remaining: int
    reset_s: float


def try_take(key: str, *, rate_per_s: float, burst: int) -> Taken:
    """Take one of `burst` tokens that come back at `rate_per_s`, if there is one.

    Raises:
        RedisAway: nothing was decided.
    """
    interval_us = 1_000_000 / rate_per_s
    try:
        wait, remaining, reset = redis_state().eval(
            _GCRA, 1, f"limit:{key}", repr(interval_us), str(burst)
        )
    except RedisError as error:
        raise RedisAway(str(error)) from error
    return Taken(int(wait) / 1e6, int(remaining), int(reset) / 1e6)


def take(key: str, *, rate_per_s: float, burst: int) -> float:
    """Take one token and return 0, or return the seconds to wait and take nothing.

    Raises:
        RedisAway: nothing was decided.
    """
    return try_take(key, rate_per_s=rate_per_s, burst=burst).wait_s
