"""The topics, their partitions and retention: the one list that `create_topics` obeys."""

from __future__ import annotations

from dataclasses import dataclass

DAY_S = 86_400


@dataclass(frozen=True)
class Topic:
    """A Kafka topic; `retention_s` in seconds."""

    name: str
    partitions: int
    retention_s: int


DEAL_EVENTS = Topic("deal.events", partitions=3, retention_s=7 * DAY_S)
ESCROW_DEPOSITS = Topic("escrow.deposits", partitions=3, retention_s=7 * DAY_S)
ESCROW_COMMANDS = Topic("escrow.commands", partitions=3, retention_s=7 * DAY_S)
ESCROW_CONFIRMATIONS = Topic("escrow.confirmations", partitions=3, retention_s=7 * DAY_S)

TOPICS = (DEAL_EVENTS, ESCROW_DEPOSITS, ESCROW_COMMANDS, ESCROW_CONFIRMATIONS)
