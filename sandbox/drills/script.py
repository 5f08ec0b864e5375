"""What a drill says while it runs, and how it ends before its time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.25


class Missing(Exception):
    """A drill did not see what the runbook says; one line says which."""


class Skipped(Exception):
    """A drill cannot be held on this machine, and why."""


class Script:
    """Prints a line per happening, with the seconds since the drill began."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.skipped: list[str] = []

    @property
    def seconds(self) -> float:
        """How long the drill has taken."""
        return time.monotonic() - self._began

    def cause(self, text: str) -> None:
        """What is broken, and how."""
        self._tell("CAUSE", text)

    def time_passes(self, text: str) -> None:
        """What is put back in the tables, as if that much time had passed."""
        self._tell("TIME", text)

    def symptom(self, where: str, text: str) -> None:
        """What is seen of it, and where."""
        self._tell("SYMPTOM", f"{where}: {text}")

    def fix(self, text: str) -> None:
        """What the runbook says to do, and is done."""
        self._tell("FIX", text)

    def says(self, text: str) -> None:
        """What a command answers; what it logs beside that is left out."""
        for line in text.strip().splitlines():
            if not line.startswith('{"event"'):
                self._tell("", f"  {line}")

    def proof(self, text: str) -> None:
        """The fact that shows that it is mended."""
        self._tell("PROOF", text)

    def clean(self, text: str) -> None:
        """That nothing of it is left."""
        self._tell("CLEAN", text)

    def skip(self, text: str) -> None:
        """What could not be looked at here: it is not taken for seen."""
        self.skipped.append(text)
        self._tell("SKIPPED", text)

    def _tell(self, word: str, text: str) -> None:
        print(f"{self.seconds:6.1f} s  {word:<8} {text}", flush=True)


def until(look: Callable[[], T | None], what: str, *, within_s: float) -> T:
    """Look again until there is something to see, and return it.

    Raises:
        Missing: there was not, in time.
    """
    deadline = time.monotonic() + within_s
    while (seen := look()) is None:
        if time.monotonic() > deadline:
            raise Missing(f"{what}, within {within_s:.0f} s")
        time.sleep(POLL_S)
    return seen
