"""What consumers tell Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

LAG = Gauge(
    "kafka_consumer_lag",
    "Records of a partition that its group has not handled, by the watermarks of fetches",
    ["group", "topic", "partition"],
)
STALLED_S = Gauge(
    "kafka_consumer_stalled_seconds",
    "How long a partition has been waiting for a record that fails",
    ["group", "topic", "partition"],
)
RECORDS = Counter(
    "kafka_consumer_records",
    "Records read, by what became of them",
    ["group", "outcome"],
)
