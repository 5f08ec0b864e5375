"""The facts that payments publishes. `deal_id` is the opaque reference of an escrow."""

from __future__ import annotations

import datetime as dt
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
class DepositPartial(Event):
    """Money below the price lies ready; `missing_nano` more funds the deal."""

    TYPE: ClassVar[str] = "DEPOSIT_PARTIAL"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    received_nano: int
    missing_nano: int


@event
class DepositOverpaid(Event):
    """More came than the price; the excess goes back, by itself or once an operator agrees."""

    TYPE: ClassVar[str] = "DEPOSIT_OVERPAID"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    excess_nano: int
    needs_operator: bool


@event
class DepositLate(Event):
    """Money came after the deal's end; it goes back by itself."""

    TYPE: ClassVar[str] = "DEPOSIT_LATE"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    amount_nano: int


@event
class DepositNeedsReview(Event):
    """A large deposit waits for an operator's yes or no: told once, and then as a reminder."""

    TYPE: ClassVar[str] = "DEPOSIT_NEEDS_REVIEW"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    deposit_id: int
    amount_nano: int
    reason: str
    reminder: int


@event
class DepositRejected(Event):
    """An operator refused a large deposit: it goes back, and the deal is over."""

    TYPE: ClassVar[str] = "DEPOSIT_REJECTED"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    deposit_id: int
    amount_nano: int


@event
class RefundAddressChanged(Event):
    """Refunds of a deal go elsewhere from `effective_at` on. The address is masked; one that is not
    `proved` was typed by hand."""

    TYPE: ClassVar[str] = "REFUND_ADDRESS_CHANGED"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    address: str
    proved: bool
    effective_at: dt.datetime


@event
class EscrowSettled(Event):
    """All that the decision on an escrow owed is on chain; `outcome` is the escrow's state."""

    TYPE: ClassVar[str] = "ESCROW_SETTLED"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    outcome: str


@event
class PayoutUnclaimed(Event):
    """The payee of a payout has not said where to, `day` days after they were first told."""

    TYPE: ClassVar[str] = "PAYOUT_UNCLAIMED"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    settlement_id: UUID
    payee_id: int
    amount_nano: int
    day: int


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
    payee_id: int | None
    amount_nano: int
    tx_hash: str


@event
class SettlementStuck(Event):
    """A transfer will not go out by itself: the payee or an operator must act."""

    TYPE: ClassVar[str] = "SETTLEMENT_STUCK"
    TOPIC: ClassVar[Topic] = ESCROW_CONFIRMATIONS
    settlement_id: UUID
    kind: str
    payee_id: int | None
    reason: str
