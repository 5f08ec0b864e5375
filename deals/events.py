"""The facts that deals publish on deal.events: a class for each kind of transition, and for holds.

They carry ids and figures that never change after the offer; what may change is read again by
whoever needs it.
"""

from __future__ import annotations

from typing import ClassVar

from advertmarket.messaging.events import Event, event
from advertmarket.messaging.topics import DEAL_EVENTS, Topic


class DealEvent(Event):
    """A deal went from one state to another; amounts in nanoTON, people by Telegram id.

    `actor` is who did it ("user:42", "system:post-publisher"); `deal_version` grows by one with
    each transition of a deal.
    """

    TOPIC: ClassVar[Topic] = DEAL_EVENTS

    from_status: str
    to_status: str
    deal_version: int
    actor: str
    advertiser_id: int
    owner_id: int
    channel_id: int
    price_nano: int


@event
class DealHeld(DealEvent):
    """The deal waits for an operator, in the state where it was; `reason` says why."""

    TYPE: ClassVar[str] = "DEAL_HELD"

    reason: str


@event
class OfferSubmitted(DealEvent):
    """The advertiser sent the offer to the channel's owner."""

    TYPE: ClassVar[str] = "OFFER_SUBMITTED"


@event
class OfferAccepted(DealEvent):
    """The owner's side accepted; a deposit address follows."""

    TYPE: ClassVar[str] = "OFFER_ACCEPTED"


@event
class OfferRejected(DealEvent):
    """The owner's side said no; the deal is cancelled."""

    TYPE: ClassVar[str] = "OFFER_REJECTED"


@event
class PaymentRequested(DealEvent):
    """The deposit address is there; the advertiser may pay."""

    TYPE: ClassVar[str] = "PAYMENT_REQUESTED"


@event
class DealFunded(DealEvent):
    """The escrow holds the price; the owner's side may submit a draft."""

    TYPE: ClassVar[str] = "DEAL_FUNDED"


@event
class CreativeSubmitted(DealEvent):
    """A draft awaits the advertiser's word."""

    TYPE: ClassVar[str] = "CREATIVE_SUBMITTED"


@event
class RevisionRequested(DealEvent):
    """The advertiser wants another draft."""

    TYPE: ClassVar[str] = "REVISION_REQUESTED"


@event
class CreativeApproved(DealEvent):
    """The advertiser approved the draft; the owner's side may publish or schedule it."""

    TYPE: ClassVar[str] = "CREATIVE_APPROVED"


@event
class PostScheduled(DealEvent):
    """The owner's side set the time of publication."""

    TYPE: ClassVar[str] = "POST_SCHEDULED"


@event
class PostPublished(DealEvent):
    """The bot posted the approved text to the channel."""

    TYPE: ClassVar[str] = "POST_PUBLISHED"


@event
class VerificationStarted(DealEvent):
    """The checks of the retention time are set."""

    TYPE: ClassVar[str] = "VERIFICATION_STARTED"


@event
class DeliveryVerified(DealEvent):
    """The post stayed as approved for the retention time: the payout is owed."""

    TYPE: ClassVar[str] = "DELIVERY_VERIFIED"


@event
class DealCompleted(DealEvent):
    """The owner has the payout, on chain."""

    TYPE: ClassVar[str] = "DEAL_COMPLETED"


@event
class DealRefunded(DealEvent):
    """The advertiser has the money back, on chain."""

    TYPE: ClassVar[str] = "DEAL_REFUNDED"


@event
class DealPartiallyRefunded(DealEvent):
    """Both have their share, on chain."""

    TYPE: ClassVar[str] = "DEAL_PARTIALLY_REFUNDED"


@event
class DisputeOpened(DealEvent):
    """A side, the system or an operator opened a dispute: the money stays in escrow."""

    TYPE: ClassVar[str] = "DISPUTE_OPENED"


@event
class DisputeEscalated(DealEvent):
    """Nobody decided the dispute in time."""

    TYPE: ClassVar[str] = "DISPUTE_ESCALATED"


@event
class DisputeResolved(DealEvent):
    """An operator decided the dispute; what was decided is owed."""

    TYPE: ClassVar[str] = "DISPUTE_RESOLVED"


@event
class CancellationAsked(DealEvent):
    """A side wants a paid deal cancelled, and the other has to agree."""

    TYPE: ClassVar[str] = "CANCELLATION_ASKED"


@event
class DealCancelled(DealEvent):
    """A side withdrew, or both did; what was paid goes back."""

    TYPE: ClassVar[str] = "DEAL_CANCELLED"


@event
class DealExpired(DealEvent):
    """A deadline passed; what was paid goes back."""

    TYPE: ClassVar[str] = "DEAL_EXPIRED"
