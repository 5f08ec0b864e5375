"""What deals tell Prometheus."""

from __future__ import annotations

from prometheus_client import Counter

TRANSITIONS = Counter(
    "deal_transitions_total",
    "Moves of deals, holds included",
    ["action", "from_status", "to_status"],
)
