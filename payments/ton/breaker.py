"""Stop asking a service that mostly fails, for a while."""

from __future__ import annotations

import threading
import time
from collections import deque


class Breaker:
    """Opens for 30 s at a failure when at least half of the last 20 calls failed.

    After that it takes one more failure to open it again, until most of the last 20 went well.
    """

    WINDOW = 20
    OPEN_S = 30.0

    def __init__(self) -> None:
        self._outcomes: deque[bool] = deque(maxlen=self.WINDOW)
        self._open_until = 0.0
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Return whether a call may be made now."""
        return time.monotonic() >= self._open_until

    def record(self, *, ok: bool) -> None:
        """Tell how a call went."""
        with self._lock:
            self._outcomes.append(ok)
            full = len(self._outcomes) == self.WINDOW
            if not ok and full and self._outcomes.count(False) * 2 >= self.WINDOW:
                self._open_until = time.monotonic() + self.OPEN_S
