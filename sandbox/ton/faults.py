"""Faults that tests order: the next `times` calls of a method go wrong in a given way."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal[
    "error",  # answer `status` and do nothing
    "lost_answer",  # do it, then answer `status`; 0 closes the connection
    "swallow",  # sendBoc and its kin: answer ok and forget the message
    "hold",  # sendBoc and its kin: keep the message out of the next `blocks` blocks
    "lagging",  # read from a node that is `blocks` behind
    "unindexed",  # v3 lists: answer 200 and an empty list
    "delay",  # do it, `delay_ms` later
]


@dataclass
class Fault:
    """An ordered fault; `method` is an API method's name or `*`."""

    method: str
    kind: Kind
    times: int = 1
    status: int = 504
    error: str = "LITE_SERVER_NETWORK: timeout"
    retry_after_s: int | None = None
    blocks: int = 2
    delay_ms: int = 0

    @classmethod
    def ordered(cls, order: Mapping[str, Any]) -> Fault:
        """Read an order from the control plane.

        Raises:
            ValueError: an unknown kind or parameter.
        """
        if order.get("kind") not in get_args(Kind):
            raise ValueError(f"unknown kind of fault: {order.get('kind')!r}")
        try:
            return cls(**order)
        except TypeError as error:
            raise ValueError(str(error)) from error


class Faults:
    """The faults that are due."""

    def __init__(self) -> None:
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Add a fault behind those that are due."""
        self._ordered.append(fault)

    def clear(self) -> None:
        """Forget all of them."""
        self._ordered.clear()

    def due(self) -> int:
        """Return how many calls will yet go wrong."""
        return sum(fault.times for fault in self._ordered)

    def take(self, method: str) -> Fault | None:
        """Return the oldest fault for this method, and count it."""
        for fault in self._ordered:
            if fault.method in (method, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self._ordered.remove(fault)
                return fault
        return None


class RateLimit:
    """At most `per_s` calls a second without a key, ten times as many with one; 0: no limit."""

    def __init__(self, per_s: int) -> None:
        self._per_s = per_s
        self._seen: dict[str, deque[float]] = defaultdict(deque)

    def allows(self, key: str) -> bool:
        """Count a call of this API key (empty: none) and return whether it may go on."""
        if not self._per_s:
            return True
        now = asyncio.get_running_loop().time()
        seen = self._seen[key]
        while seen and seen[0] <= now - 1:
            seen.popleft()
        if len(seen) >= self._per_s * (10 if key else 1):
            return False
        seen.append(now)
        return True
