"""One look at everything: all detectors beside each other."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable, Sequence

from ops.beside import Beside

from .causes import Cause
from .detectors import RUNNER, Detector, Untold, all_detectors
from .follow import Sighting

logger = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]

LIMIT_S = 5.0
"""Longer than Redis and Kafka take to be given up, and shorter than anybody's patience."""


class Lookout:
    """Asks every detector, and remembers what those saw that are not asked each time."""

    def __init__(self, clock: Clock, detectors: Sequence[Detector] | None = None) -> None:
        self._clock = clock
        self._detectors = all_detectors() if detectors is None else detectors
        self._jobs: Beside[str, list[Cause]] = Beside()
        self._seen: dict[str, list[Cause] | Exception] = {}
        self._asked_at: dict[str, dt.datetime] = {}

    def look(self) -> Sighting:
        """Return what is seen now, after at most `LIMIT_S`.

        A detector that raises, or does not answer, is seen as a cause itself.
        """
        began_at = self._clock()
        due = [one for one in self._detectors if self._is_due(one, began_at)]
        jobs = {one.name: functools.partial(_list, one) for one in due}
        self._seen |= self._jobs.all(jobs, limit_s=LIMIT_S)
        self._asked_at |= dict.fromkeys(jobs, began_at)
        told = {name: seen for name, seen in self._seen.items() if isinstance(seen, list)}
        return Sighting(self._clock(), {**told, RUNNER: self._failures()})

    def _is_due(self, detector: Detector, at: dt.datetime) -> bool:
        asked_at = self._asked_at.get(detector.name)
        if asked_at is None or isinstance(self._seen[detector.name], Exception):
            return True
        return (at - asked_at).total_seconds() >= detector.every_s

    def _failures(self) -> list[Cause]:
        failures = []
        for name, seen in self._seen.items():
            if isinstance(seen, Exception) and not isinstance(seen, Untold):
                logger.warning("detector %s cannot tell", name, exc_info=seen)
                facts = {"detector": name, "error": f"{type(seen).__name__}: {seen}"}
                failures.append(Cause("detector_failed", key=name, facts=facts))
        return failures


def _list(detector: Detector) -> list[Cause]:
    return list(detector.look())
