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
    COMPLETED_RELEASED = "COMPLETED_RELEASED", _("Completed")
    CANCELLED = "CANCELLED", _("Cancelled")
    EXPIRED = "EXPIRED", _("Expired")


class Action(TextChoices):
    """What moves a deal; the column `deal_events.action`."""

    SUBMIT = "SUBMIT", "submits the offer"
    ACCEPT = "ACCEPT", "accepts"
    REJECT = "REJECT", "rejects"
    CANCEL = "CANCEL", "withdraws"
    REQUEST_PAYMENT = "REQUEST_PAYMENT", "gave the deal its deposit address"
    FUND = "FUND", "saw the deposit confirmed in full"
    SUBMIT_CREATIVE = "SUBMIT_CREATIVE", "submits a draft"
    REVISE = "REVISE", "asks for a revision"
    APPROVE = "APPROVE", "approves the draft"
    SCHEDULE = "SCHEDULE", "sets the time of publication (now, or up to 30 days ahead)"
    PUBLISH = "PUBLISH", "posted to the channel by the bot"
    START_VERIFYING = "START_VERIFYING", "planned the checks, at once"
    VERIFY = "VERIFY", "saw all checks passed for the retention time: escrow released, payout owed"
    COMPLETE = "COMPLETE", "saw the payout confirmed on chain"
    EXPIRE = "EXPIRE", "found the deadline passed and nothing paid"


class Role(TextChoices):
    """What someone is to a deal; `deals.permissions` tells who has which."""

    ADVERTISER = "advertiser"
    MODERATOR = "owner side (moderate)"
    PUBLISHER = "owner side (publish)"
    SYSTEM = "system"


@dataclass(frozen=True)
class Transition:
    """Someone in `role` may take `action` on a deal in `source`; `event` tells the others."""

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
    _T(_S.FUNDED, _A.SUBMIT_CREATIVE, _S.CREATIVE_SUBMITTED, _R.MODERATOR, e.CreativeSubmitted),
    _T(_S.CREATIVE_SUBMITTED, _A.REVISE, _S.FUNDED, _R.ADVERTISER, e.RevisionRequested),
    _T(_S.CREATIVE_SUBMITTED, _A.APPROVE, _S.CREATIVE_APPROVED, _R.ADVERTISER, e.CreativeApproved),
    _T(_S.CREATIVE_APPROVED, _A.SCHEDULE, _S.SCHEDULED, _R.PUBLISHER, e.PostScheduled),
    _T(_S.SCHEDULED, _A.PUBLISH, _S.PUBLISHED, _R.SYSTEM, e.PostPublished),
    _T(_S.PUBLISHED, _A.START_VERIFYING, _S.DELIVERY_VERIFYING, _R.SYSTEM, e.VerificationStarted),
    _T(_S.DELIVERY_VERIFYING, _A.VERIFY, _S.DELIVERY_VERIFIED, _R.SYSTEM, e.DeliveryVerified),
    _T(_S.DELIVERY_VERIFIED, _A.COMPLETE, _S.COMPLETED_RELEASED, _R.SYSTEM, e.DealCompleted),
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
retention time. Where nothing is paid the deal expires; otherwise it is held for an operator."""

GRACE_S = 300
"""How long after a deadline a person's action still counts, in seconds before the scale."""

TERMINAL = frozenset(Status) - {line.source for line in TRANSITIONS}
"""States that nothing leaves."""

ACTIVE = frozenset(Status) - TERMINAL
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
