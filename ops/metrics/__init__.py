"""What the tables say of the platform's state, as gauges: a function each, found by discovery.

The `watch` process shows them (`state.register`); every process shows what it counts by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Row: TypeAlias = Sequence[Any]
Read: TypeAlias = Callable[[], Iterable[Row]]

FRESH_S, HALF_A_MINUTE_S, FIVE_MINUTES_S = 10.0, 30.0, 300.0
"""How often a source is read. With 1,000,000 deals, 50,000 of which are not over, most sources take
milliseconds; all deals that are not over take a quarter of a second, a sum over all wallets one."""


@dataclass(frozen=True)
class Source:
    """Gauges by name, with what each says, and the function that reads them.

    `read` yields rows: the values of `labels`, then one of each gauge; None is left out. It is read
    again after `keep_s` seconds.
    """

    name: str
    gauges: Mapping[str, str]
    labels: tuple[str, ...]
    keep_s: float
    needs_database: bool
    read: Read


_sources: dict[str, Source] = {}


def source(
    *,
    labels: tuple[str, ...] = (),
    keep_s: float = FRESH_S,
    needs_database: bool = True,
    **gauges: str,
) -> Callable[[Read], Read]:
    """Register the decorated function as what reads these gauges, each given with what it says."""

    def register(read: Read) -> Read:
        name = read.__name__
        taken = {gauge for one in _sources.values() for gauge in one.gauges} & gauges.keys()
        if name in _sources or taken:
            raise TypeError(f"{name}, or {sorted(taken)}, is registered twice")
        _sources[name] = Source(name, gauges, labels, keep_s, needs_database, read)
        return read

    return register


def all_sources() -> list[Source]:
    """Return every source, by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return [_sources[name] for name in sorted(_sources)]
