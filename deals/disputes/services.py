"""What may be done about disputes. Every function wants the caller's database transaction.

All that move a deal raise what `moves.move` raises, besides what their docstrings name.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from deals.lifecycle import DISPUTE_S, Action, Status
from deals.limits import check_disputes
from deals.models import Deal, Dispute, DisputeEvidence, PostAttempt
from deals.moves import lock, move, scaled
from deals.permissions import NotAllowed, check_visible
from payments import selectors as payments
from payments import services as payment_services

from . import evidence as rules
from .selectors import NoDispute
from .split import owner_gross

logger = logging.getLogger(__name__)

Reason = Dispute.Reason
Decision = Dispute.Decision
Kind = DisputeEvidence.Kind

OF_PARTIES = (Reason.QUALITY, Reason.POST_DELETED, Reason.POST_EDITED, Reason.OTHER)
"""What a side may give as its reason; the others the system finds."""

MAX_EVIDENCE = 20
"""How much one person may show in one dispute."""


class DisputeExists(DomainError):
    """There is a dispute about this deal."""

    code: ClassVar[Code] = Code.DISPUTE_ALREADY_EXISTS
    message = _("There is a dispute about this deal already.")


class AlreadyDecided(DomainError):
    """Another operator was faster, or this one decided otherwise."""

    message = _("This dispute was decided already: {decision}.")
    public_facts = ("decision",)


class DecisionInvalid(DomainError):
    """The decision lacks its reason, or its split is none."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("Give a reason, and for a split the owner's part between 1 and 9999 basis points.")


class TooMuchEvidence(DomainError):
    """One person shows as much as one may."""

    code: ClassVar[Code] = Code.LIMIT_EXCEEDED
    message = _("You may add {limit} pieces of evidence to a dispute.")
    public_facts = ("limit",)


@requires_transaction
def open_dispute(
    *, deal_id: UUID, reason: Reason, statement: str = "", actor: Actor, at: datetime
) -> Dispute:
    """Keep a deal's money in escrow until an operator has decided. Asked again, nothing changes.

    `statement` says more, and is the first evidence. A hold on the deal ends.

    Raises:
        DisputeExists: somebody else disputes it.
        TooManyDisputes: the person opened three within a week.
    """
    deal = lock(deal_id)
    check_visible(actor, deal)
    standing = Dispute.objects.filter(deal=deal).first()
    if standing is not None:
        if standing.opened_by == str(actor):
            return standing
        raise DisputeExists
    if actor.kind == "user":
        check_disputes(user_id=int(actor.id), at=at)
    said = statement[:1000]
    moved = move(deal_id=deal_id, action=Action.DISPUTE, actor=actor, reason=said, at=at)
    if moved.source == Status.SCHEDULED:
        _give_up_posting(moved.deal, at)
    dispute = Dispute.objects.create(
        deal=moved.deal,
        reason=reason,
        opened_by=str(actor),
        opened_at=at,
        due_at=at + scaled(DISPUTE_S),
    )
    if actor.kind == "operator":
        audit.record(
            actor=actor,
            action="dispute.opened",
            object_type="deal",
            object_id=str(deal_id),
            before={"status": moved.source},
            after={"reason": reason},
            reason=statement,
            at=at,
        )
    if statement:
        kind = Kind.TEXT if actor.kind == "user" else Kind.SYSTEM_CHECK
        _add(dispute, kind, statement, actor, at)
    return dispute


@requires_transaction
def add_evidence(
    *, deal_id: UUID, kind: Kind, content: str, actor: Actor, at: datetime
) -> DisputeEvidence:
    """Add what somebody shows for their side; the same again changes nothing.

    Raises:
        DealNotFound: the actor has no part in the deal.
        NoDispute, AlreadyDecided: there is nothing to show it for.
        NotAllowed: this kind only the system adds.
        EvidenceInvalid: it is not of its kind's form.
        TooMuchEvidence: 20 pieces are the actor's.
    """
    dispute = _lock_open(lock(deal_id), actor)
    if actor.kind == "user" and kind not in rules.OF_PARTIES:
        raise NotAllowed
    rules.check(kind, content)
    theirs = DisputeEvidence.objects.filter(dispute=dispute, added_by=str(actor))
    same = theirs.filter(kind=kind, content_hash=rules.digest(content)).first()
    if same is not None:
        return same
    if actor.kind == "user" and theirs.count() >= MAX_EVIDENCE:
        raise TooMuchEvidence(limit=MAX_EVIDENCE)
    return _add(dispute, kind, content, actor, at)


@requires_transaction
def decide_dispute(
    *,
    deal_id: UUID,
    decision: Decision,
    owner_bp: int | None = None,
    reason: str,
    actor: Actor,
    at: datetime,
) -> None:
    """An operator decides: what escrow holds is owed at once to whom it is due.

    A SPLIT gives the owner `owner_bp` (basis points) of it, less the commission on that. The same
    decision of the same operator again changes nothing.

    Raises:
        NotAllowed: the actor is no operator.
        NoDispute: nobody disputes the deal.
        AlreadyDecided: it is decided otherwise, or by another.
        DecisionInvalid: no reason, or a split that is none.
    """
    if actor.kind != "operator":
        raise NotAllowed
    is_split = decision is Decision.SPLIT
    if not reason.strip() or is_split != (owner_bp is not None and 0 < owner_bp < 10_000):
        raise DecisionInvalid
    deal = lock(deal_id)
    dispute = Dispute.objects.filter(deal=deal).first()
    if dispute is not None and dispute.state == Dispute.State.DECIDED:
        decided = (dispute.decision, dispute.owner_bp, dispute.decided_by)
        if decided == (decision, owner_bp, str(actor)):
            return
    dispute = _lock_open(deal, actor)
    move(deal_id=deal_id, action=Action.DECIDE, actor=actor, reason=reason, at=at)
    dispute.state, dispute.decision, dispute.owner_bp = Dispute.State.DECIDED, decision, owner_bp
    dispute.decision_reason, dispute.decided_by, dispute.decided_at = reason, str(actor), at
    dispute.save()
    audit.record(
        actor=actor,
        action="dispute.decided",
        object_type="deal",
        object_id=str(deal_id),
        before=None,
        after={"decision": decision, "owner_bp": owner_bp},
        reason=reason,
        at=at,
    )
    _owe(deal, decision, owner_bp, actor, at)


@requires_transaction
def escalate_dispute(*, deal_id: UUID, actor: Actor, at: datetime) -> None:
    """Tell again of a dispute that nobody decided in time; it has as much time once more."""
    deal = lock(deal_id)
    dispute = Dispute.objects.filter(deal=deal, state=Dispute.State.OPEN, due_at__lte=at).first()
    if dispute is None:
        return
    dispute.due_at = at + scaled(DISPUTE_S)
    dispute.save(update_fields=["due_at"])
    move(deal_id=deal_id, action=Action.ESCALATE, actor=actor, at=at)
    logger.error("the dispute about deal %s waits for a decision", deal_id)


def _owe(deal: Deal, decision: Decision, owner_bp: int | None, actor: Actor, at: datetime) -> None:
    if decision is Decision.REFUND:
        payment_services.refund_escrow(reference=deal.id, actor=actor, at=at)
    elif decision is Decision.RELEASE:
        payment_services.release_escrow(
            reference=deal.id,
            owner_id=deal.owner_id,
            owner_share_nano=deal.owner_share_nano,
            actor=actor,
            at=at,
        )
    else:
        assert owner_bp is not None  # checked before
        payment_services.split_escrow(
            reference=deal.id,
            owner_id=deal.owner_id,
            owner_gross_nano=owner_gross(_held_nano(deal), owner_bp),
            commission_rate_bp=deal.commission_rate_bp,
            actor=actor,
            at=at,
        )


def _give_up_posting(deal: Deal, at: datetime) -> None:
    """Leave it open whether an attempt to post that is under way succeeded: nobody looks for it."""
    PostAttempt.objects.filter(deal=deal, state=PostAttempt.State.STARTED).update(
        state=PostAttempt.State.UNRESOLVED, error="the deal is disputed", ended_at=at
    )


def _held_nano(deal: Deal) -> int:
    escrow = payments.escrow_view(deal.id)
    assert escrow is not None  # the deal was paid
    assert escrow.funded_nano is not None
    return escrow.funded_nano


def _lock_open(deal: Deal, actor: Actor) -> Dispute:
    check_visible(actor, deal)
    dispute = Dispute.objects.select_for_update(no_key=True).filter(deal=deal).first()
    if dispute is None:
        raise NoDispute
    if dispute.state != Dispute.State.OPEN:
        raise AlreadyDecided(decision=dispute.decision)
    return dispute


def _add(dispute: Dispute, kind: Kind, content: str, actor: Actor, at: datetime) -> DisputeEvidence:
    return DisputeEvidence.objects.create(
        dispute=dispute,
        kind=kind,
        content=content,
        content_hash=rules.digest(content),
        added_by=str(actor),
        added_at=at,
    )
