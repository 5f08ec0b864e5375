"""Large deposits: they wait for an operator, who is asked, and reminded, and says yes or no."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.messaging.outbox import publish
from advertmarket.metrics import count
from payments.books.chart import PerDeal
from payments.escrows import lock_escrow_of
from payments.events import DepositNeedsReview, DepositRejected
from payments.metrics import DEPOSITS
from payments.models import Deposit, Escrow
from payments.sending import settlements

from . import postings
from .allocation import allocate, decide
from .partials import return_partial

REVIEW_REMINDERS = (dt.timedelta(hours=2), dt.timedelta(hours=4))
"""How long after a large deposit began to wait an operator is reminded, and others are told."""

_BATCH = 100


class NotInReview(DomainError):
    """The deposit does not wait for an operator, or not for this."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("This deposit does not wait for that.")


@requires_transaction
def ask(*, deposit: Deposit, at: dt.datetime) -> None:
    """Let a deposit of a locked escrow wait for an operator, and tell operators of it."""
    deposit.state, deposit.decided_at = Deposit.State.REVIEW, at
    deposit.rule = "a sum that an operator approves"
    deposit.save(update_fields=["state", "rule", "decided_at"])
    count(DEPOSITS, "review")
    _tell_review(deposit, at)


@requires_transaction
def lock_in_review(*, deposit_id: int, amount_nano: int) -> tuple[Escrow, Deposit]:
    """Return a deposit of `amount_nano` (nanoTON) that waits for an operator, its escrow locked.

    Raises:
        NotInReview: it does not wait, or brought something else.
    """
    escrow = lock_escrow_of(deposit_id)
    deposit = Deposit.objects.filter(
        pk=deposit_id, amount_nano=amount_nano, state=Deposit.State.REVIEW
    ).first()
    if escrow is None or deposit is None:
        raise NotInReview
    return escrow, deposit


@requires_transaction
def reject(*, escrow: Escrow, deposit: Deposit, actor: Actor, at: dt.datetime) -> None:
    """Owe a deposit that would fund its locked escrow back, and all before it: the deal is over.

    Raises:
        NotInReview: it would fund nothing (allocated, it goes back).
    """
    if escrow.state == Escrow.State.EXPIRED:
        escrow.state = Escrow.State.CLOSED  # what came for it was in time, and is late from now on
        escrow.save(update_fields=["state"])
        allocate(escrow=escrow, deposit=deposit, actor=actor, at=at)
        return
    if escrow.state != Escrow.State.AWAITING:
        raise NotInReview
    shares = {PerDeal.REFUND_PENDING: deposit.amount_nano}
    postings.move(deposit=deposit, shares=shares, actor=actor, at=at)
    decide(deposit=deposit, rule="rejected by an operator", at=at)
    settlements.owe_refund(escrow=escrow, amount_nano=deposit.amount_nano, at=at)
    escrow.state, escrow.ended_at = Escrow.State.CLOSED, at
    return_partial(escrow=escrow, actor=actor, at=at)
    escrow.save(update_fields=["state", "ended_at", "partial_since_at"])
    publish(
        DepositRejected(
            deal_id=escrow.reference, deposit_id=deposit.pk, amount_nano=deposit.amount_nano
        ),
        key=f"deposit-rejected:{deposit.pk}",
        at=at,
    )


@requires_transaction
def remind_of_reviews(*, at: dt.datetime) -> None:
    """Tell operators again of large deposits that have waited too long for their word."""
    waiting = Deposit.objects.select_for_update(skip_locked=True, no_key=True).filter(
        state=Deposit.State.REVIEW,
        reminders__lt=len(REVIEW_REMINDERS),
        decided_at__lte=at - REVIEW_REMINDERS[0],
    )
    for deposit in waiting.order_by("decided_at")[:_BATCH]:
        assert deposit.decided_at is not None  # by the table's CHECK
        due = sum(deposit.decided_at + after <= at for after in REVIEW_REMINDERS)
        if due > deposit.reminders:
            deposit.reminders = due
            deposit.save(update_fields=["reminders"])
            _tell_review(deposit, at)


def _tell_review(deposit: Deposit, at: dt.datetime) -> None:
    publish(
        DepositNeedsReview(
            deal_id=deposit.escrow_id,
            deposit_id=deposit.pk,
            amount_nano=deposit.amount_nano,
            reason=deposit.rule,
            reminder=deposit.reminders,
        ),
        key=f"deposit-review:{deposit.pk}:{deposit.reminders}",
        at=at,
    )
