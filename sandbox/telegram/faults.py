"""Faults to order, and the sending limits that Telegram is known for."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.telegram.errors import ApiError, too_many_requests

_SENDS = ("send", "forward", "copy", "edit")
_DESCRIPTIONS = {
    401: "Unauthorized",
    429: "Too Many Requests: retry after {retry_after_s}",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


@dataclass
class Fault:
    """What goes wrong with the next `times` calls of `method` ("*": any), for one chat or all.

    It waits `delay_ms`, then closes the connection without an answer (`lost`), or answers with
    `code`, or, if neither is given, as usual. With `executes` the call takes effect first.
    """

    method: str = "*"
    times: int = 1
    chat_id: str = ""
    code: int = 0
    description: str = ""
    retry_after_s: int = 0
    delay_ms: int = 0
    executes: bool = False
    lost: bool = False

    def error(self) -> ApiError:
        """Return what it answers."""
        usual = _DESCRIPTIONS.get(self.code, "Bad Request")
        description = self.description or usual.format(retry_after_s=self.retry_after_s)
        if self.retry_after_s:
            return ApiError(self.code, description, retry_after=self.retry_after_s)
        return ApiError(self.code, description)


class Faults:
    """The faults that were ordered, the earliest first."""

    def __init__(self) -> None:
        """Start without any."""
        self._lock = threading.Lock()
        self._ordered: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Add one."""
        with self._lock:
            self._ordered.append(fault)

    def clear(self) -> None:
        """Call everything off."""
        with self._lock:
            self._ordered.clear()

    def take(self, method: str, chat_id: str) -> Fault | None:
        """Return the fault that this call meets, and count it."""
        with self._lock:
            for fault in self._ordered:
                if fault.method.lower() in ("*", method) and fault.chat_id in ("", chat_id):
                    fault.times -= 1
                    if fault.times <= 0:
                        self._ordered.remove(fault)
                    return fault
        return None

    def show(self) -> list[dict[str, Any]]:
        """Return what is still to come."""
        with self._lock:
            return [asdict(fault) for fault in self._ordered]


class SendingLimits:
    """30 messages a second in all, 1 a second to a chat, 20 a minute to a group or channel.

    Source: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this.
    """

    def __init__(self, *, enforced: bool = False) -> None:
        """Enforce them from the start, or only when told to."""
        self.enforced = enforced
        self._lock = threading.Lock()
        self._sent: defaultdict[str, deque[float]] = defaultdict(deque)

    def check(self, method: str, chat_id: str) -> None:
        """Count a call.

        Raises:
            ApiError: 429, it is one too many; it is not counted then.
        """
        if not (self.enforced and method.startswith(_SENDS) and chat_id):
            return
        now = time.monotonic()
        windows = [("*", 30, 1.0), (f"second {chat_id}", 1, 1.0)]
        if chat_id.startswith(("-", "@")):
            windows.append((f"minute {chat_id}", 20, 60.0))
        with self._lock:
            wait_s = 0.0
            for name, most, window_s in windows:
                sent = self._sent[name]
                while sent and sent[0] <= now - window_s:
                    sent.popleft()
                if len(sent) >= most:
                    wait_s = max(wait_s, sent[0] + window_s - now)
            if wait_s:
                raise too_many_requests(int(wait_s) + 1)
            for name, _, _ in windows:
                self._sent[name].append(now)
