"""How deals end, beside an ad that stayed. Every function wants the caller's database transaction.

Besides what their docstrings name, all that move a deal raise what `moves.move` raises.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.errors import DomainError
from payments import selectors as payments
from payments import services as payment_services
from payments.selectors import Outcome

from . import permissions
from .disputes.services import Reason, open_dispute
from .lifecycle import OVER, Action, Status
from .models import Deal, PostAttempt
from .moves import is_overdue, lock, move

_SETTLED = {
    Outcome.RELEASED: Action.COMPLETE,
    Outcome.REFUNDED: Action.REFUND,
    Outcome.SPLIT: Action.SPLIT,
}


class NotSettled(DomainError):
    """Payments does not know of a decision whose every share is confirmed."""

    message = _("The money of this deal is not settled on chain.")


class NotRejected(DomainError):
    """Payments did not close the deal's escrow."""

    message = _("No operator rejected the deposit of this deal.")


@requires_transaction
def cancel_deal(*, deal_id: UUID, reason: str = "", actor: Actor, at: datetime) -> None:
    """A side withdraws before anything is paid.

    From a paid deal without an ad (FUNDED) both withdraw together: the first who asks waits for the
    other's word, and with that the money goes back.

    Raises:
        EscrowNotEmpty: a deposit has arrived that pays the price, or may.
        ChainBehind: the payment deadline has passed, and the chain is not read that far.
    """
    deal = lock(deal_id)
    permissions.check_visible(actor, deal)
    if deal.status == Status.FUNDED:
        _cancel_together(deal, reason, actor, at)
        return
    moved = move(deal_id=deal_id, action=Action.CANCEL, actor=actor, reason=reason, at=at)
    if moved.is_new and moved.source == Status.AWAITING_PAYMENT:
        payment_services.close_escrow(reference=deal_id, actor=actor, at=at)


@requires_transaction
def cancel_rejected(*, deal_id: UUID, actor: Actor, at: datetime) -> None:
    """End a deal whose large deposit an operator rejected: payments gives it back.

    A deal that is over stays as it is.

    Raises:
        NotRejected: payments says otherwise.
    """

    def escrow_is_closed(deal: Deal) -> None:
        escrow = payments.escrow_view(deal.id)
        if escrow is None or escrow.state != "CLOSED":
            raise NotRejected

    if lock(deal_id).status in OVER:
        return
    move(
        deal_id=deal_id,
        action=Action.REJECT_DEPOSIT,
        actor=actor,
        at=at,
        guard=escrow_is_closed,
    )


@requires_transaction
def end_overdue(*, deal_id: UUID, actor: Actor, at: datetime) -> None:
    """End a deal whose deadline has passed: what was paid goes back, or is disputed.

    A deposit that was on chain in time may still revive one that was not paid.

    Raises:
        EscrowNotEmpty: a deposit has arrived and is being confirmed or reviewed.
        ChainBehind: a deposit in time may yet be found.
    """
    deal = lock(deal_id)
    if not is_overdue(deal, at) or deal.held_at is not None:
        return
    if reason := _doubt(deal):
        open_dispute(deal_id=deal_id, reason=reason, statement=deal.waiting_for, actor=actor, at=at)
        return
    moved = move(deal_id=deal_id, action=Action.EXPIRE, actor=actor, at=at)
    if moved.source == Status.AWAITING_PAYMENT:
        payment_services.close_escrow(reference=deal_id, expired=True, actor=actor, at=at)
    elif moved.source in (Status.FUNDED, Status.CREATIVE_APPROVED, Status.SCHEDULED):
        payment_services.refund_escrow(reference=deal_id, actor=actor, at=at)


@requires_transaction
def settle_deal(*, deal_id: UUID, actor: Actor, at: datetime) -> None:
    """End a deal whose money is where it was decided to be, on chain.

    A deal that was over with the decision (cancelled by both, expired) stays as it is.

    Raises:
        NotSettled: payments says otherwise.
    """
    if lock(deal_id).status in OVER:
        return
    outcome = payments.settled_references([deal_id]).get(deal_id)
    if outcome is None:
        raise NotSettled
    move(deal_id=deal_id, action=_SETTLED[outcome], actor=actor, at=at)


def _cancel_together(deal: Deal, reason: str, actor: Actor, at: datetime) -> None:
    sides = permissions.sides_of(actor, deal)
    if not sides:
        raise permissions.NotAllowed
    if not deal.cancel_asked_by:
        move(
            deal_id=deal.id,
            action=Action.ASK_TO_CANCEL,
            actor=actor,
            reason=reason,
            at=at,
            cancel_asked_by=min(sides),
        )
    elif sides - {deal.cancel_asked_by}:
        move(deal_id=deal.id, action=Action.AGREE_TO_CANCEL, actor=actor, reason=reason, at=at)
        payment_services.refund_escrow(reference=deal.id, actor=actor, at=at)


def _doubt(deal: Deal) -> Reason | None:
    """Return why the owner may have earned the money, so that only an operator may give it back."""
    if deal.status == Status.CREATIVE_SUBMITTED:
        return Reason.NOT_APPROVED
    if deal.status == Status.DELIVERY_VERIFYING:
        return Reason.INCONCLUSIVE
    refused = PostAttempt.State.REFUSED
    if PostAttempt.objects.filter(deal=deal).exclude(state=refused).exists():
        return Reason.NOT_POSTED
    return None
