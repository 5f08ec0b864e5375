"""What calls to TON Center tell Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter(
    "ton_calls_total",
    "Calls to TON Center, by the HTTP status, or what broke the connection",
    ["method", "outcome"],
)
DURATION_S = Histogram(
    "ton_call_duration_seconds",
    "How long TON Center took to answer, or not to",
    ["method"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
BREAKER_OPEN = Gauge(
    "ton_breaker_open",
    "1 while calls to TON Center are refused unasked",
    multiprocess_mode="livemax",
)
