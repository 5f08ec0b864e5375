"""Deposits that wait for an operator's word."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.errors import Code, DomainError
from advertmarket.messaging.outbox import publish
from payments import deposits
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.books.ledger import Line
from payments.events import DepositRejected
from payments.models import Deposit, Escrow, Journal
from payments.sending import settlements

from .registry import FourEyes, Nano, Number, Payload, operation


class NotInReview(DomainError):
    """The deposit does not wait for an operator, or not for this."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("This deposit does not wait for that.")


class ADeposit(Payload):
    """A deposit, and what it brought, as the operator saw it."""

    deposit_id: Number
    nano: Nano

    def amount_nano(self) -> int:
        """Return what it brought."""
        return self.nano


@operation("deposit.approve", ADeposit, four_eyes=FourEyes.ABOVE_LIMIT)
def approve(
    payload: ADeposit, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Let the deposit go where the rule sends it.

    Raises:
        NotInReview: it does not wait for anybody.
    """
    escrow, deposit = _lock_in_review(payload)
    deposits.allocate(escrow=escrow, deposit=deposit, actor=actor, at=at)


@operation("deposit.reject", ADeposit, four_eyes=FourEyes.ABOVE_LIMIT)
def reject(payload: ADeposit, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime) -> None:
    """Give back a deposit that would fund its deal, and all that came before it: the deal is over.

    Raises:
        NotInReview: it does not wait for anybody, or funds nothing (approved, it goes back).
    """
    escrow, deposit = _lock_in_review(payload)
    if escrow.state == Escrow.State.EXPIRED:
        escrow.state = Escrow.State.CLOSED  # what came for it was in time, and is late from now on
        escrow.save(update_fields=["state"])
        deposits.allocate(escrow=escrow, deposit=deposit, actor=actor, at=at)
        return
    if escrow.state != Escrow.State.AWAITING:
        raise NotInReview
    row = deposit.chain_transaction
    reference = escrow.reference
    pending, owed = PerDeal.DEPOSIT_PENDING.of(reference), PerDeal.REFUND_PENDING.of(reference)
    ledger.post(
        kind=Journal.Kind.ALLOCATED,
        key=f"allocate:{row.wallet.address}:{row.lt}",
        lines=[Line(pending, owed, deposit.amount_nano)],
        actor=actor,
        at=at,
    )
    deposit.state, deposit.rule = Deposit.State.ALLOCATED, "rejected by an operator"
    deposit.decided_at = at
    deposit.save(update_fields=["state", "rule", "decided_at"])
    settlements.owe_refund(escrow=escrow, amount_nano=deposit.amount_nano, at=at)
    escrow.state, escrow.ended_at = Escrow.State.CLOSED, at
    deposits.return_partial(escrow=escrow, actor=actor, at=at)
    escrow.save(update_fields=["state", "ended_at", "partial_since_at"])
    publish(
        DepositRejected(deal_id=reference, deposit_id=deposit.pk, amount_nano=deposit.amount_nano),
        key=f"deposit-rejected:{deposit.pk}",
        at=at,
    )


def _lock_in_review(payload: ADeposit) -> tuple[Escrow, Deposit]:
    escrow = deposits.lock_escrow_of(payload.deposit_id)
    deposit = Deposit.objects.filter(pk=payload.deposit_id, state=Deposit.State.REVIEW).first()
    if escrow is None or deposit is None or deposit.amount_nano != payload.nano:
        raise NotInReview
    return escrow, deposit
