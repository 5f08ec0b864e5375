"""How often one caller may ask; the table of all limits.

With Redis away nobody knows how much was taken: reads go on, what writes or signs in does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rest_framework.exceptions import Throttled
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from advertmarket.ratelimit import RedisAway, Taken, try_take

from .callers import caller_of


@dataclass(frozen=True)
class Limit:
    """A token bucket for each user, or each IP address where nobody is signed in."""

    name: str
    per_minute: int


AUTH = Limit("auth", per_minute=5)
ALL = Limit("all", per_minute=120)
DEALS_READ = Limit("deals-read", per_minute=60)
DEALS_WRITE = Limit("deals-write", per_minute=20)
CHANNEL_SEARCH = Limit("channel-search", per_minute=30)
CREATIVE = Limit("creative", per_minute=10)
DISPUTE = Limit("dispute", per_minute=5)
WALLET_READ = Limit("wallet-read", per_minute=60)
WALLET_WRITE = Limit("wallet-write", per_minute=5)
OPERATOR = Limit("operator", per_minute=120)


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit after a call, for the RateLimit-* headers."""

    limit: Limit
    taken: Taken

    def headers(self) -> dict[str, str]:
        """The headers that tell the caller."""
        return {
            "RateLimit-Limit": str(self.limit.per_minute),
            "RateLimit-Remaining": str(self.taken.remaining),
            "RateLimit-Reset": str(math.ceil(self.taken.reset_s)),
        }


class RateLimited(Throttled):
    """A limit is used up."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__(wait=allowance.taken.wait_s)
        self.allowance = allowance


def take_all(request: Request, limits: tuple[Limit, ...]) -> Allowance | None:
    """Take one token of each limit; return the tightest (None without a limit, or with Redis away).

    Raises:
        RateLimited: one is used up.
        RedisAway: nothing can be counted, and the request is more than a read.
    """
    caller = caller_of(request)
    who = caller.pk if caller else f"ip:{BaseThrottle().get_ident(request)}"
    tightest: Allowance | None = None
    for limit in limits:
        try:
            taken = try_take(
                f"{limit.name}:{who}", rate_per_s=limit.per_minute / 60, burst=limit.per_minute
            )
        except RedisAway:
            if request.method in SAFE_METHODS:
                return None
            raise
        allowance = Allowance(limit, taken)
        if taken.wait_s > 0:
            raise RateLimited(allowance)
        if tightest is None or taken.remaining < tightest.taken.remaining:
            tightest = allowance
    return tightest
