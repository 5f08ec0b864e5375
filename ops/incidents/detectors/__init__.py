"""What can be wrong: functions that yield the causes that hold now, found by discovery.

A detector changes nothing. One that raises is an incident itself ("it cannot be told"), unless what
it needs is away and another detector says so: then it raises `Untold`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ops.incidents.causes import Cause

Detect = Callable[[], Iterator[Cause]]

RUNNER = "detectors"
"""Stands for a detector where one itself is the cause: it raised, or did not answer."""


class Untold(Exception):
    """What this detector asks is away, which is another detector's to say."""


@dataclass(frozen=True)
class Detector:
    """A function that looks, at most every `every_s` seconds."""

    name: str
    every_s: float
    look: Detect


_detectors: dict[str, Detector] = {}


def detector(*, every_s: float = 0) -> Callable[[Detect], Detect]:
    """Register a generator of causes; between two looks what it saw last still counts."""

    def register(look: Detect) -> Detect:
        if look.__name__ in _detectors:
            raise TypeError(f"there are two detectors {look.__name__}")
        _detectors[look.__name__] = Detector(look.__name__, every_s, look)
        return look

    return register


def all_detectors() -> list[Detector]:
    """Return every detector, by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return [_detectors[name] for name in sorted(_detectors)]
