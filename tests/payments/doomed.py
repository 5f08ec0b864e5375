"""Work done by processes that are killed in the middle of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import time_machine
from django.conf import settings
from django.db import connection

from tests.payments.lines import Line
from tests.payments.mothers import Mother

_SETTINGS = (
    "TON_API_URL",
    "TON_API_RPS",
    "TON_WALLET_MNEMONIC",
    "TON_WALLET_PUBLIC_KEY",
    "SIGNING_LIMITS_NANO",
)


class NotKilled(Exception):
    """The process came to its end, or failed, before it came to the line."""


class Doomed:
    """Starts processes on this process's present database, settings and clock."""

    def __init__(self, log: Path) -> None:
        self._mother = Mother("tests.payments.dies_at", log)

    def stop(self) -> None:
        """End the process that starts the others."""
        self._mother.stop()

    def die(self, act: str, line: Line) -> None:
        """Let a process do `act` (see `dies_at.ACTS`), and kill it just before `line`.

        Raises:
            NotKilled: it did not come to this line.
        """
        answer = self._order(act, line=[line.file, line.number, line.hit])
        if not answer["killed"]:
            raise NotKilled(f"{act} did not come to {line}: {answer['said']}")

    def live(self, act: str, files: Iterable[str]) -> list[Line]:
        """Let a process do `act`; return every coming to a line of `files`, in order."""
        answer = self._order(act, files=sorted(files))
        if answer["killed"] or answer["failed"]:
            raise AssertionError(answer["said"])
        hits: Counter[tuple[str, int]] = Counter()
        came_to = []
        for file, number in answer["said"]:
            hits[file, number] += 1
            came_to.append(Line(file, number, hits[file, number]))
        return came_to

    def die_somewhere(self, act: str, files: Iterable[str], *, lines: int) -> Line | None:
        """Let a process do `act`, and kill it before so many lines of `files` are executed.

        Return the line that it died at, or None if it had done its work before.
        """
        answer = self._order(act, files=sorted(files), lines=lines)
        if answer["failed"]:
            raise AssertionError(answer["said"])
        return Line(*answer["said"]) if answer["killed"] else None

    def _order(
        self, act: str, *, line: Any = None, files: Any = (), lines: int = 0
    ) -> dict[str, Any]:
        answer: dict[str, Any] = self._mother.ask(
            {
                "act": act,
                "line": line,
                "files": files,
                "lines": lines,
                "database": connection.settings_dict["NAME"],
                "settings": {name: getattr(settings, name) for name in _SETTINGS},
                "ahead_s": _ahead_s(),
            }
        )
        return answer


def _ahead_s() -> float:
    hatch = time_machine.escape_hatch
    return time.time() - hatch.time.time() if hatch.is_travelling() else 0.0
