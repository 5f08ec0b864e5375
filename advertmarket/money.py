"""TON amounts. Inside the system money is an `int` of nanoTON; text is for the edges."""

from __future__ import annotations

import re
from typing import NewType

Nano = NewType("Nano", int)
"""An amount in nanoTON: 1 TON = 10^9 nanoTON."""

NANO_PER_TON = 1_000_000_000
MAX_NANO = 2**63 - 1
"""What a PostgreSQL bigint holds; more TON than will ever exist."""

_NANO_TEXT = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_TON_TEXT = re.compile(r"(0|[1-9][0-9]{0,9})(?:\.([0-9]{1,9}))?", re.ASCII)


def parse_nano(text: str) -> Nano:
    """Return the amount written as a decimal string of whole nanoTON, such as "1500000000".

    Raises:
        ValueError: signs, spaces, fractions, exponents, leading zeros, or beyond 2^63 - 1.
    """
    if not _NANO_TEXT.fullmatch(text) or int(text) > MAX_NANO:
        raise ValueError(f"{text!r} is not a whole number of nanoTON up to {MAX_NANO}")
    return Nano(int(text))


def parse_ton(text: str) -> Nano:
    """Return the exact nanoTON of a decimal string of TON, such as "1.5".

    Raises:
        ValueError: it is not a plain decimal, is finer than one nanoTON, or is too large.
    """
    match = _TON_TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an amount of TON with at most 9 decimals")
    whole, fraction = match.groups(default="")
    nano = int(whole) * NANO_PER_TON + int(fraction.ljust(9, "0"))
    if nano > MAX_NANO:
        raise ValueError(f"{text!r} TON is more than this system can hold")
    return Nano(nano)


def format_ton(amount: int) -> str:
    """Return the shortest decimal string that `parse_ton` reads back to `amount` nanoTON."""
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), NANO_PER_TON)
    return f"{sign}{whole}.{fraction:09d}".rstrip("0").rstrip(".")
