"""What part of the price an ad has earned that was up for a part of its time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_EARNED_BP = ((1, 1_000), (6, 2_500), (12, 5_000), (24, 7_500))
"""Up for less than so many hours, of 24: so many basis points; and all of it after that."""

WHOLE_BP = 10_000


@dataclass(frozen=True)
class Shares:
    """How a sum would be divided, in nanoTON; rounding goes to the advertiser."""

    owner_nano: int
    commission_nano: int
    advertiser_nano: int


def earned_bp(*, published_at: datetime, until: datetime, retention: timedelta) -> int:
    """Return the owner's part for an ad that was up until then, in basis points."""
    up = (until - published_at) / retention * 24
    return next((bp for hours, bp in _EARNED_BP if up < hours), WHOLE_BP)


def owner_gross(nano: int, owner_bp: int) -> int:
    """Return the owner's part of a sum, before its commission."""
    return nano * owner_bp // WHOLE_BP


def shares(nano: int, *, owner_bp: int, commission_rate_bp: int) -> Shares:
    """Return how a sum is divided; commission is taken on the owner's part alone."""
    gross = owner_gross(nano, owner_bp)
    commission = gross * commission_rate_bp // WHOLE_BP
    return Shares(gross - commission, commission, nano - gross)
