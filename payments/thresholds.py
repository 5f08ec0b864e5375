"""From which sum or time on something is treated otherwise: confirmations, reviews, dust, skew."""

from __future__ import annotations

import datetime as dt

from advertmarket.money import NANO_PER_TON

FALLBACK_RATE_BP = 1_000
"""10 %, where no tier of commission covers the price."""

REVIEW_ABOVE_NANO = 1_000 * NANO_PER_TON
"""A deal's sum above this needs an operator beside its confirmations."""

FUNDING_TOLERANCE_NANO = 1_000_000
"""0.001 TON, the most that a deposit may be short; the commission bears the shortfall."""

DUST_NANO = NANO_PER_TON // 100
"""0.01 TON: what is not worth giving back beside the fee of giving it back."""

AUTOMATIC_EXCESS_BP = 1_000
"""10 % of the price: what came above it by more than that is for an operator to judge."""

MAX_CLOCK_SKEW = dt.timedelta(seconds=30)
"""The signer refuses to sign if the chain's clock and ours differ by more."""


def confirmations_needed(sum_nano: int) -> int:
    """Return how many masterchain blocks (the one that holds it counts) confirm a deal's sum."""
    if sum_nano <= 100 * NANO_PER_TON:
        return 1
    return 3 if sum_nano <= 1_000 * NANO_PER_TON else 5


def least_funding(price_nano: int) -> int:
    """Return the smallest deposit (nanoTON) that funds a price; a thousandth short at the most."""
    return price_nano - min(FUNDING_TOLERANCE_NANO, price_nano // 1_000)
