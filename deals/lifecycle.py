"""What a deal may become, by whom, and in what time. Pure data: no database, no clock, no I/O.

A new branch is a line of `TRANSITIONS`, and of `Status`, `Action`, `DEADLINE_S` where it is new.
`docs/deal-states.md` is generated from here (`manage.py draw_deal_states`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from advertmarket.errors import Code, DomainError

from . import events as e

HOUR_S = 3600


class Status(TextChoices):
    """Where a deal stands; the column `deals.status`."""

    DRAFT = "DRAFT", _("Draft")
    OFFER_PENDING = "OFFER_PENDING", _("Offer sent")
    ACCEPTED = "ACCEPTED", _("Accepted")
    AWAITING_PAYMENT = "AWAITING_PAYMENT", _("Awaiting payment")
    FUNDED = "FUNDED", _("Paid into escrow")
    CREATIVE_SUBMITTED = "CREATIVE_SUBMITTED", _("Ad awaits approval")
    CREATIVE_APPROVED = "CREATIVE_APPROVED", _("Ad approved")
    SCHEDULED = "SCHEDULED", _("Scheduled")
    PUBLISHED = "PUBLISHED", _("Published")
    DELIVERY_VERIFYING = "DELIVERY_VERIFYING", _("Being verified")
    DELIVERY_VERIFIED = "DELIVERY_VERIFIED", _("Verified, payout due")
    DISPUTED = "DISPUTED", _("Disputed")
    COMPLETED_RELEASED = "COMPLETED_RELEASED", _("Completed")
    REFUNDED = "REFUNDED", _("Refunded")
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED", _("Partly refunded")
    CANCELLED = "CANCELLED", _("Cancelled")
    EXPIRED = "EXPIRED", _("Expired")


class Action(TextChoices):
    """What moves a deal; the column `deal_events.action`."""

    SUBMIT = "SUBMIT", "submits the offer"
    ACCEPT = "ACCEPT", "accepts"
    REJECT = "REJECT", "rejects"
    CANCEL = "CANCEL", "withdraws"
    REQUEST_PAYMENT = "REQUEST_PAYMENT", "gave the deal its deposit address"
    FUND = "FUND", "saw the deposit confirmed in full (in time, though the deal had expired)"
    REJECT_DEPOSIT = "REJECT_DEPOSIT", "learned that an operator rejected a large deposit: refund"
    ASK_TO_CANCEL = "ASK_TO_CANCEL", "asks the other side to cancel"
    AGREE_TO_CANCEL = "AGREE_TO_CANCEL", "agrees to cancel: refund"
    SUBMIT_CREATIVE = "SUBMIT_CREATIVE", "submits a draft"
    REVISE = "REVISE", "asks for a revision"
    APPROVE = "APPROVE", "approves the draft"
    SCHEDULE = "SCHEDULE", "sets the time of publication (now, or up to 30 days ahead)"
    PUBLISH = "PUBLISH", "posted to the channel by the bot"
    START_VERIFYING = "START_VERIFYING", "planned the checks, at once"
    VERIFY = "VERIFY", "saw all checks passed for the retention time: escrow released, payout owed"
    DISPUTE = "DISPUTE", "opens a dispute"
    DECIDE = "DECIDE", "decides the dispute: release, refund or a split, owed at once"
    ESCALATE = "ESCALATE", "found the dispute not decided in time"
    COMPLETE = "COMPLETE", "saw the payout confirmed on chain"
    REFUND = "REFUND", "saw the refund confirmed on chain"
    SPLIT = "SPLIT", "saw both shares confirmed on chain"
    EXPIRE = "EXPIRE", "found the deadline passed: what was paid is refunded"


class Role(TextChoices):
    """What someone is to a deal; `deals.permissions` tells who has which."""

    ADVERTISER = "advertiser"
    MODERATOR = "owner side (moderate)"
    PUBLISHER = "owner side (publish)"
    SYSTEM = "system"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Transition:
    """Someone in `role` may take `action` on a deal in `source`; `event` tells the others.

    Where `target` is `source`, the deal stays there, with its deadline.
    """

    source: Status
    action: Action
    target: Status
    role: Role
    event: type[e.DealEvent]


_T, _S, _A, _R = Transition, Status, Action, Role
TRANSITIONS = (
    _T(_S.DRAFT, _A.SUBMIT, _S.OFFER_PENDING, _R.ADVERTISER, e.OfferSubmitted),
    _T(_S.DRAFT, _A.CANCEL, _S.CANCELLED, _R.ADVERTISER, e.DealCancelled),
    _T(_S.OFFER_PENDING, _A.ACCEPT, _S.ACCEPTED, _R.MODERATOR, e.OfferAccepted),
    _T(_S.OFFER_PENDING, _A.REJECT, _S.CANCELLED, _R.MODERATOR, e.OfferRejected),
    _T(_S.OFFER_PENDING, _A.CANCEL, _S.CANCELLED, _R.ADVERTISER, e.DealCancelled),
    _T(_S.OFFER_PENDING, _A.EXPIRE, _S.EXPIRED, _R.SYSTEM, e.DealExpired),
    _T(_S.ACCEPTED, _A.REQUEST_PAYMENT, _S.AWAITING_PAYMENT, _R.SYSTEM, e.PaymentRequested),
    _T(_S.ACCEPTED, _A.CANCEL, _S.CANCELLED, _R.ADVERTISER, e.DealCancelled),
    _T(_S.ACCEPTED, _A.CANCEL, _S.CANCELLED, _R.MODERATOR, e.DealCancelled),
    _T(_S.ACCEPTED, _A.EXPIRE, _S.EXPIRED, _R.SYSTEM, e.DealExpired),
    _T(_S.AWAITING_PAYMENT, _A.FUND, _S.FUNDED, _R.SYSTEM, e.DealFunded),
    _T(_S.AWAITING_PAYMENT, _A.CANCEL, _S.CANCELLED, _R.ADVERTISER, e.DealCancelled),
    _T(_S.AWAITING_PAYMENT, _A.EXPIRE, _S.EXPIRED, _R.SYSTEM, e.DealExpired),
    _T(_S.AWAITING_PAYMENT, _A.REJECT_DEPOSIT, _S.CANCELLED, _R.SYSTEM, e.DealCancelled),
    _T(_S.EXPIRED, _A.FUND, _S.FUNDED, _R.SYSTEM, e.DealFunded),
    _T(_S.FUNDED, _A.SUBMIT_CREATIVE, _S.CREATIVE_SUBMITTED, _R.MODERATOR, e.CreativeSubmitted),
    _T(_S.FUNDED, _A.ASK_TO_CANCEL, _S.FUNDED, _R.ADVERTISER, e.CancellationAsked),
    _T(_S.FUNDED, _A.ASK_TO_CANCEL, _S.FUNDED, _R.MODERATOR, e.CancellationAsked),
    _T(_S.FUNDED, _A.AGREE_TO_CANCEL, _S.CANCELLED, _R.ADVERTISER, e.DealCancelled),
    _T(_S.FUNDED, _A.AGREE_TO_CANCEL, _S.CANCELLED, _R.MODERATOR, e.DealCancelled),
    _T(_S.FUNDED, _A.EXPIRE, _S.EXPIRED, _R.SYSTEM, e.DealExpired),
    _T(_S.FUNDED, _A.DISPUTE, _S.DISPUTED, _R.OPERATOR, e.DisputeOpened),
    _T(_S.CREATIVE_SUBMITTED, _A.REVISE, _S.FUNDED, _R.ADVERTISER, e.RevisionRequested),
    _T(_S.CREATIVE_SUBMITTED, _A.APPROVE, _S.CREATIVE_APPROVED, _R.ADVERTISER, e.CreativeApproved),
    _T(_S.CREATIVE_SUBMITTED, _A.DISPUTE, _S.DISPUTED, _R.ADVERTISER, e.DisputeOpened),
    _T(_S.CREATIVE_SUBMITTED, _A.DISPUTE, _S.DISPUTED, _R.MODERATOR, e.DisputeOpened),
    _T(_S.CREATIVE_SUBMITTED, _A.DISPUTE, _S.DISPUTED, _R.SYSTEM, e.DisputeOpened),
    _T(_S.CREATIVE_SUBMITTED, _A.DISPUTE, _S.DISPUTED, _R.OPERATOR, e.DisputeOpened),
    _T(_S.CREATIVE_APPROVED, _A.SCHEDULE, _S.SCHEDULED, _R.PUBLISHER, e.PostScheduled),
    _T(_S.CREATIVE_APPROVED, _A.EXPIRE, _S.EXPIRED, _R.SYSTEM, e.DealExpired),
    _T(_S.CREATIVE_APPROVED, _A.DISPUTE, _S.DISPUTED, _R.OPERATOR, e.DisputeOpened),
    _T(_S.SCHEDULED, _A.PUBLISH, _S.PUBLISHED, _R.SYSTEM, e.PostPublished),
    _T(_S.SCHEDULED, _A.EXPIRE, _S.EXPIRED, _R.SYSTEM, e.DealExpired),
    _T(_S.SCHEDULED, _A.DISPUTE, _S.DISPUTED, _R.SYSTEM, e.DisputeOpened),
    _T(_S.SCHEDULED, _A.DISPUTE, _S.DISPUTED, _R.OPERATOR, e.DisputeOpened),
    _T(_S.PUBLISHED, _A.START_VERIFYING, _S.DELIVERY_VERIFYING, _R.SYSTEM, e.VerificationStarted),
    _T(_S.DELIVERY_VERIFYING, _A.VERIFY, _S.DELIVERY_VERIFIED, _R.SYSTEM, e.DeliveryVerified),
    _T(_S.DELIVERY_VERIFYING, _A.DISPUTE, _S.DISPUTED, _R.ADVERTISER, e.DisputeOpened),
    _T(_S.DELIVERY_VERIFYING, _A.DISPUTE, _S.DISPUTED, _R.MODERATOR, e.DisputeOpened),
    _T(_S.DELIVERY_VERIFYING, _A.DISPUTE, _S.DISPUTED, _R.SYSTEM, e.DisputeOpened),
    _T(_S.DELIVERY_VERIFYING, _A.DISPUTE, _S.DISPUTED, _R.OPERATOR, e.DisputeOpened),
    _T(_S.DELIVERY_VERIFIED, _A.COMPLETE, _S.COMPLETED_RELEASED, _R.SYSTEM, e.DealCompleted),
    _T(_S.DELIVERY_VERIFIED, _A.REFUND, _S.REFUNDED, _R.SYSTEM, e.DealRefunded),
    _T(_S.DISPUTED, _A.ESCALATE, _S.DISPUTED, _R.SYSTEM, e.DisputeEscalated),
    _T(_S.DISPUTED, _A.DECIDE, _S.DISPUTED, _R.OPERATOR, e.DisputeResolved),
    _T(_S.DISPUTED, _A.COMPLETE, _S.COMPLETED_RELEASED, _R.SYSTEM, e.DealCompleted),
    _T(_S.DISPUTED, _A.REFUND, _S.REFUNDED, _R.SYSTEM, e.DealRefunded),
    _T(_S.DISPUTED, _A.SPLIT, _S.PARTIALLY_REFUNDED, _R.SYSTEM, e.DealPartiallyRefunded),
)

DEADLINE_S: dict[Status, int] = {
    Status.OFFER_PENDING: 48 * HOUR_S,
    Status.ACCEPTED: 24 * HOUR_S,
    Status.AWAITING_PAYMENT: 24 * HOUR_S,
    Status.FUNDED: 72 * HOUR_S,
    Status.CREATIVE_SUBMITTED: 48 * HOUR_S,
    Status.CREATIVE_APPROVED: 48 * HOUR_S,
    Status.SCHEDULED: 24 * HOUR_S,
    Status.DELIVERY_VERIFYING: 6 * HOUR_S,
}
"""How long a deal may wait in a state, in seconds before `settings.DEADLINE_SCALE`: counted from
its entry, in SCHEDULED from the time of publication, in DELIVERY_VERIFYING from the end of the
retention time. Then the deal expires and what was paid goes back; where it may have been earned
(CREATIVE_SUBMITTED, DELIVERY_VERIFYING, and SCHEDULED if a post may be there) it is disputed."""

DISPUTE_S = 7 * 24 * HOUR_S
"""How long a dispute may wait for a decision before it is escalated, and again and again."""

GRACE_S = 300
"""How long after a deadline a person's action still counts, in seconds before the scale."""

OVER = frozenset(
    {
        Status.COMPLETED_RELEASED,
        Status.REFUNDED,
        Status.PARTIALLY_REFUNDED,
        Status.CANCELLED,
        Status.EXPIRED,
    }
)
"""States that nothing leaves; but a deposit that was in time revives what EXPIRED unpaid."""

ACTIVE = frozenset(Status) - OVER
"""States of deals that are not over."""


class IllegalTransition(DomainError):
    """The deal's state does not allow this action."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("A deal that is {current_status} does not allow {requested_transition}.")
    public_facts = ("current_status", "requested_transition")

    def __init__(self, status: Status, action: Action) -> None:
        super().__init__(current_status=status.value, requested_transition=action.value)


def lines_of(action: Action) -> tuple[Transition, ...]:
    """Return every line of the table for an action."""
    return tuple(line for line in TRANSITIONS if line.action == action)
