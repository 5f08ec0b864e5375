"""What the money tells Prometheus, counted once it is committed."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from .models import Settlement

JOURNALS = Counter("ledger_journals_total", "Journals posted", ["kind"])
DEPOSITS = Counter(
    "deposits_total",
    "Deposits: seen in a block, allocated by their rule, or left to an operator (review)",
    ["step"],
)
SETTLEMENTS = Counter(
    "settlements_total", "Owed transfers that came into a state", ["kind", "state"]
)
DEPOSIT_DELAY_S = Histogram(
    "deposit_credit_delay_seconds",
    "From the block that confirmed a deposit until its rule was applied",
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 900, 3600),
)
CONFIRMATION_DELAY_S = Histogram(
    "settlement_confirmation_delay_seconds",
    "From when only we were waited for until the recipient had the money",
    ["kind"],
    buckets=(5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600),
)

for _kind in Settlement.Kind:  # the first of each that is late is seen to grow from 0
    CONFIRMATION_DELAY_S.labels(_kind)
