"""One thing that is told, and how ages and amounts are written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from advertmarket.money import format_ton

SHOWN = 10
"""So many of a kind are listed, the oldest; the rest is counted."""


@dataclass(frozen=True)
class Section:
    """What holds (`says`, in the active language), and whether a person must look.

    `lines` tell more, in English. A `headline` is told however short the telling is.
    """

    name: str
    says: str
    needs_person: bool = False
    lines: tuple[str, ...] = ()
    headline: bool = False


Tell = Callable[[dt.datetime], Section | None]
"""Tells one thing as it is at a time; nothing if there is no such thing here."""


def ton(nano: object) -> str:
    """Return a sum of nanoTON, as PostgreSQL adds them up, in TON."""
    return f"{format_ton(int(str(nano or 0)))} TON"


def age(since: dt.datetime, at: dt.datetime) -> str:
    """Return how long ago `since` was: "45 s", "12 min", "3 h", "2 d"."""
    seconds = max(0, int((at - since).total_seconds()))
    for unit, length in ((_("d"), 86_400), (_("h"), 3_600), (_("min"), 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} {_('s')}"


def listed(lines: list[str], count: int) -> tuple[str, ...]:
    """Return the lines, and how many of `count` they leave out."""
    more = count - len(lines)
    return (*lines, f"and {more} more") if more > 0 else tuple(lines)
