"""Deposits that wait for an operator's word."""

from __future__ import annotations

import datetime as dt
from typing import Any

from advertmarket.actors import Actor
from payments.deposits import review
from payments.deposits.allocation import allocate
from payments.deposits.partials import received_nano
from payments.models import Deposit, Escrow

from .registry import FourEyes, Nano, Number, Payload, operation


class ADeposit(Payload):
    """A deposit, and what it brought, as the operator saw it."""

    deposit_id: Number
    nano: Nano

    def amount_nano(self) -> int:
        """Return what is decided with it: of a deal that awaits its price all that has come."""
        awaiting = Escrow.objects.filter(
            deposits=self.deposit_id, state=Escrow.State.AWAITING
        ).first()
        return received_nano(awaiting) if awaiting else self.nano


@operation("deposit.approve", ADeposit, four_eyes=FourEyes.ABOVE_LIMIT)
def approve(
    payload: ADeposit, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Let the deposit go where the rule sends it.

    Raises:
        NotInReview: it does not wait for anybody.
    """
    escrow, deposit = _lock(payload)
    allocate(escrow=escrow, deposit=deposit, actor=actor, at=at)


@operation("deposit.reject", ADeposit, four_eyes=FourEyes.ABOVE_LIMIT)
def reject(payload: ADeposit, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime) -> None:
    """Give back a deposit that would fund its deal, and all that came before it: the deal is over.

    Raises:
        NotInReview: it does not wait for anybody, or funds nothing (approved, it goes back).
    """
    escrow, deposit = _lock(payload)
    review.reject(escrow=escrow, deposit=deposit, actor=actor, at=at)


def _lock(payload: ADeposit) -> tuple[Escrow, Deposit]:
    return review.lock_in_review(deposit_id=payload.deposit_id, amount_nano=payload.nano)
