"""Operations on deals, at the door of all operations."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from pydantic import Field

from advertmarket.actors import Actor
from advertmarket.errors import Code, DomainError
from payments import selectors as payments
from payments.operations.registry import FourEyes, Nano, Payload, operation

from .disputes.services import Decision, Reason, decide_dispute, open_dispute


class NotInEscrow(DomainError):
    """The operator saw another sum than the one that the decision is about."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("The escrow of this deal does not hold this sum.")


class ADecision(Payload):
    """How a dispute ends, and what escrow holds, as the operator saw it.

    `owner_bp` is the owner's part of a SPLIT, in basis points.
    """

    deal_id: UUID
    decision: Decision
    owner_bp: int | None = Field(default=None, strict=True)
    nano: Nano

    def amount_nano(self) -> int:
        """Return what is decided about."""
        return self.nano


class ADoubt(Payload):
    """A paid deal that an operator disputes, and what is in doubt."""

    deal_id: UUID
    reason: Reason


@operation("dispute.open", ADoubt)
def open_for_parties(
    payload: ADoubt, *, evidence: Any, reason: str, actor: Actor, at: datetime
) -> None:
    """Dispute a paid deal that nobody else moves on, such as a held one.

    Raises:
        DomainError: as `open_dispute`.
    """
    open_dispute(
        deal_id=payload.deal_id, reason=payload.reason, statement=reason, actor=actor, at=at
    )


@operation("dispute.decide", ADecision, four_eyes=FourEyes.ABOVE_LIMIT)
def decide(payload: ADecision, *, evidence: Any, reason: str, actor: Actor, at: datetime) -> None:
    """Owe what escrow holds to whom it is due.

    Raises:
        NotInEscrow: the escrow holds another sum, or there is none.
        DomainError: as `decide_dispute`.
    """
    escrow = payments.escrow_view(payload.deal_id)
    if escrow is None or escrow.funded_nano != payload.nano:
        raise NotInEscrow
    decide_dispute(
        deal_id=payload.deal_id,
        decision=payload.decision,
        owner_bp=payload.owner_bp,
        reason=reason,
        actor=actor,
        at=at,
    )
