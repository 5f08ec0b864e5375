"""What consumers tell Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

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
    "kafka_consumer_records_total",
    "Records read, by what became of them: handled, repeated, skipped, dead_letter",
    ["group", "outcome"],
)
DURATION_S = Histogram(
    "kafka_consumer_record_duration_seconds",
    "How long groups took to handle records, those that failed included",
    ["group"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
HEARTBEAT = Gauge(
    "kafka_consumer_heartbeat_timestamp_seconds",
    "When the group's thread in this process last said that it works (every 10 s)",
    ["group"],
)
STOPPED = Gauge(
    "kafka_consumer_stopped", "1 while the group holds still after ten dead letters", ["group"]
)
OUTBOX = Counter(
    "outbox_records_total",
    "Outbox rows, by what became of them: delivered, failed, again (nobody had handled it),"
    " given_up",
    ["outcome"],
)
