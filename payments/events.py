"""The facts that payments publishes. `deal_id` is the opaque reference of an escrow."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from advertmarket.messaging.events import Event, event
from advertmarket.messaging.topics import (
    ESCROW_COMMANDS,
    ESCROW_CONFIRMATIONS,
    ESCROW_DEPOSITS,
    Topic,
)


@event
class DepositSeen(Event):
    """A final chain transaction brought money to an escrow's wallet; nothing is decided yet."""

    TYPE: ClassVar[str] = "DEPOSIT_SEEN"
    TOPIC: ClassVar[Topic] = ESCROW_DEPOSITS
    deposit_id: int
    amount_nano: int


@event
class DepositConfirmed(Event):
    """The escrow is funded."""

    TYPE: ClassVar[str] = "DEPOSIT_CONFIRMED"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    amount_nano: int


@event
class SettlementDue(Event):
    """A transfer is owed: wakes the executor."""

    TYPE: ClassVar[str] = "SETTLEMENT_DUE"
    TOPIC: ClassVar[Topic] = ESCROW_COMMANDS
    settlement_id: UUID


@event
class SettlementConfirmed(Event):
    """The recipient has the money, on chain and unbounced."""

    TYPE: ClassVar[str] = "SETTLEMENT_CONFIRMED"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    settlement_id: UUID
    kind: str
    payee_id: int
    amount_nano: int
    tx_hash: str


@event
class SettlementStuck(Event):
    """A transfer will not go out by itself: the payee or an operator must act."""

    TYPE: ClassVar[str] = "SETTLEMENT_STUCK"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    settlement_id: UUID
    kind: str
    payee_id: int
    reason: str
