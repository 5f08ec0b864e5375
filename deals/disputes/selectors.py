"""What others may ask of disputes. `actor` sees only those about deals that they have a part in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.errors import Code, DomainError
from deals.delivery.verdict import Verdict
from deals.lifecycle import DISPUTE_S
from deals.models import Deal, Dispute, DisputeEvidence, PostingCheck
from deals.moves import scaled
from deals.permissions import DealNotFound, check_visible, kind_of
from payments import selectors as payments

from .split import Shares, earned_bp, shares

_STAYED_UP = (Dispute.Reason.QUALITY, Dispute.Reason.OTHER)
"""Reasons for which the ad counts as up until the dispute was opened."""


class NoDispute(DomainError):
    """Nobody disputes the deal."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("There is no dispute about this deal.")


@dataclass(frozen=True)
class EvidenceView:
    """What somebody showed; `added_by` is advertiser, owner, operator or system."""

    kind: str
    content: str
    content_hash: str
    added_by: str
    added_at: datetime


@dataclass(frozen=True)
class DisputeView:
    """A dispute as both sides see it; `opened_by` is advertiser, owner, operator or system."""

    state: str
    reason: str
    opened_by: str
    opened_at: datetime
    due_at: datetime
    decision: str
    owner_bp: int | None
    decision_reason: str
    decided_at: datetime | None
    evidence: tuple[EvidenceView, ...]

    @property
    def reason_label(self) -> str:
        """The reason in the active language, to go on a sentence with."""
        return str(Dispute.Reason(self.reason).label)

    @property
    def decision_label(self) -> str:
        """The decision in the active language, to go on a sentence with."""
        return str(Dispute.Decision(self.decision).label)


@dataclass(frozen=True)
class Proposal:
    """How the time that an ad was up would divide the money, for the operator to consider."""

    owner_bp: int
    shares: Shares


def get_dispute(deal_id: UUID, *, actor: Actor) -> DisputeView:
    """Return the dispute about a deal.

    Raises:
        DealNotFound: the actor has no part in the deal.
        NoDispute: nobody disputes it.
    """
    deal = Deal.objects.filter(id=deal_id).first()
    if deal is None:
        raise DealNotFound
    check_visible(actor, deal)
    dispute = Dispute.objects.filter(deal=deal).first()
    if dispute is None:
        raise NoDispute
    return DisputeView(
        state=dispute.state,
        reason=dispute.reason,
        opened_by=kind_of(dispute.opened_by, deal),
        opened_at=dispute.opened_at,
        due_at=dispute.due_at,
        decision=dispute.decision,
        owner_bp=dispute.owner_bp,
        decision_reason=dispute.decision_reason,
        decided_at=dispute.decided_at,
        evidence=tuple(_evidence(row, deal) for row in dispute.evidence.order_by("id")),
    )


def decided_within() -> timedelta:
    """Return how long after its opening a dispute should be decided; then it is escalated."""
    return scaled(DISPUTE_S)


def propose_split(dispute: Dispute) -> Proposal | None:
    """Return the split by time that money.md proposes; None where nothing was published.

    An ad that was found deleted, changed or out of sight was up until it was last seen as it should
    be.
    """
    deal = dispute.deal
    escrow = payments.escrow_view(deal.id)
    if deal.published_at is None or escrow is None or escrow.funded_nano is None:
        return None
    assert deal.retention_ends_at is not None  # by the table's CHECK
    until = dispute.opened_at
    if dispute.reason not in _STAYED_UP:
        passed = PostingCheck.objects.filter(deal=deal, verdict=Verdict.PASSED)
        until = passed.aggregate(at=Max("at"))["at"] or deal.published_at
    owner_bp = earned_bp(
        published_at=deal.published_at,
        until=until,
        retention=deal.retention_ends_at - deal.published_at,
    )
    return Proposal(
        owner_bp,
        shares(escrow.funded_nano, owner_bp=owner_bp, commission_rate_bp=deal.commission_rate_bp),
    )


def _evidence(row: DisputeEvidence, deal: Deal) -> EvidenceView:
    return EvidenceView(
        kind=row.kind,
        content=row.content,
        content_hash=row.content_hash,
        added_by=kind_of(row.added_by, deal),
        added_at=row.added_at,
    )
