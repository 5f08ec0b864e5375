"""What may be done with a deal. Every function wants the caller's database transaction.

Besides what their docstrings name, all that move a deal raise what `moves.move` raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from accounts.selectors import GivenAddressView
from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.money import NANO_PER_TON
from advertmarket.wake import wake_after_commit
from channels import selectors as channels
from channels import services as channel_services
from channels.ownership import OwnershipProof
from payments import selectors as payments
from payments import services as payment_services

from . import permissions
from .delivery.content import Parts, digest
from .delivery.draft import Draft, check_against_brief
from .lifecycle import Action, IllegalTransition, Status
from .limits import check_active_deals, check_new_offers
from .models import Brief, Creative, Deal, DealEvent
from .moves import lock, move
from .selectors import NoDepositYet

PROOF_MAX_AGE = timedelta(minutes=15)
MAX_AHEAD = timedelta(days=30)
_REQUEST_PAYMENTS = "deals.tasks.request_payments"
_POST_DUE = "deals.tasks.post_due"


class PriceTooLow(DomainError):
    """The offer is below 1 TON."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("The price must be at least 1 TON.")


class BriefStands(DomainError):
    """The owner's side has been shown the brief."""

    message = _("The brief cannot be changed once the offer is sent.")


class ProofTooOld(DomainError):
    """Telegram must be asked again whether the owner still answers for the channel."""

    message = _("The channel's ownership must be proved again.")


class NotRehearsed(DomainError):
    """The deal changed while Telegram was asked about the draft."""

    message = _("The deal has just changed. Send the draft again.")


class NotFunded(DomainError):
    """Payments does not hold the deal's money."""

    message = _("The escrow of this deal does not hold its price.")


class TimeNotPossible(DomainError):
    """The time of publication is past or too far ahead."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("Choose a time from now up to {days} days ahead.")


class DealMovedOn(DomainError):
    """The person decided about an earlier version of the deal."""

    message = _("The deal has moved on since you saw it; open it to see how it stands.")


@dataclass(frozen=True)
class BriefText:
    """What an advertiser asks for; see `models.Brief`."""

    text: str
    audience: str = ""
    tone: str = ""
    links: Sequence[str] = ()
    media: Sequence[str] = ()
    forbidden_words: Sequence[str] = ()
    notes: str = ""


# --- The offer ----------------------------------------------------------------------------------


@requires_transaction
def create_deal(
    *,
    channel_id: int,
    format: str,  # noqa: A002 - the field's word
    price_nano: int,
    brief: BriefText,
    actor: Actor,
    at: datetime,
) -> UUID:
    """Draft a deal for a channel at a price in nanoTON; return its id. Nobody else sees it yet.

    Raises:
        ChannelNotFound: the channel is not registered.
        PriceTooLow: below 1 TON.
        TooManyActiveDeals: as many of the advertiser's are under way as may be.
    """
    channel = channels.get_listed(channel_id)
    if price_nano < NANO_PER_TON:
        raise PriceTooLow
    advertiser_id = int(actor.id)
    check_active_deals(advertiser_id=advertiser_id)
    deal = Deal.objects.create(
        advertiser_id=advertiser_id,
        owner_id=channel.owner_id,
        channel_id=channel_id,
        format=format,
        price_nano=price_nano,
        commission_rate_bp=payments.commission_rate(price_nano=price_nano),
        created_at=at,
        status_since_at=at,
    )
    Brief.objects.create(deal=deal, **asdict(brief))
    return deal.id


@requires_transaction
def change_brief(*, deal_id: UUID, brief: BriefText, actor: Actor, at: datetime) -> None:
    """The advertiser asks for something else, as long as the offer is not sent.

    Raises:
        DealNotFound, NotAllowed: the actor is not the deal's advertiser.
        BriefStands: it is sent.
    """
    deal = lock(deal_id)
    permissions.check_advertiser(actor, deal)
    if deal.status != Status.DRAFT:
        raise BriefStands
    Brief.objects.filter(deal=deal).update(**asdict(brief))


@requires_transaction
def submit_offer(*, deal_id: UUID, actor: Actor, at: datetime) -> None:
    """The advertiser sends the offer to the channel's owner.

    Raises:
        ChannelNotFound: the channel was removed.
        TooManyNewDeals: the channel got as many offers today as it may get.
    """

    def channel_takes_more(deal: Deal) -> None:
        channels.get_listed(deal.channel_id)
        check_new_offers(channel_id=deal.channel_id, at=at)

    move(
        deal_id=deal_id,
        action=Action.SUBMIT,
        actor=actor,
        at=at,
        guard=channel_takes_more,
        submitted_at=at,
    )


@requires_transaction
def accept_offer(
    *,
    deal_id: UUID,
    version: int | None = None,
    proof: OwnershipProof | None = None,
    actor: Actor,
    at: datetime,
) -> None:
    """The owner's side accepts. The deposit address follows once ownership is proved.

    `version` is the deal's as the person saw it. `proof` is what Telegram says now, from those who
    could ask; otherwise the system asks before anybody can pay.

    Raises:
        DealMovedOn: the deal has another version by now.
    """
    _lock_version(deal_id, version, actor)
    if proof is not None:
        channel_services.renew_proof(proof=proof)
    move(deal_id=deal_id, action=Action.ACCEPT, actor=actor, at=at, due_at=at)
    wake_after_commit(_REQUEST_PAYMENTS)


@requires_transaction
def reject_offer(
    *,
    deal_id: UUID,
    version: int | None = None,
    reason: str = "",
    actor: Actor,
    at: datetime,
) -> None:
    """The owner's side says no, to the deal's `version` as they saw it.

    Raises:
        DealMovedOn: the deal has another version by now.
    """
    _lock_version(deal_id, version, actor)
    move(deal_id=deal_id, action=Action.REJECT, actor=actor, reason=reason, at=at)


# --- The payment --------------------------------------------------------------------------------


@requires_transaction
def request_payment(
    *, deal_id: UUID, proof: OwnershipProof | None, actor: Actor, at: datetime
) -> None:
    """Give an accepted deal its deposit address.

    Raises:
        ProofTooOld: nobody proved the channel's ownership within 15 minutes.
        NoWalletReady: no checked address is in stock; try again in seconds.
    """
    lock(deal_id)
    if proof is not None:
        channel_services.renew_proof(proof=proof)

    def ownership_is_proved(deal: Deal) -> None:
        channel = channels.get_channel(deal.channel_id)
        if channel.proved_at < at - PROOF_MAX_AGE:
            raise ProofTooOld

    moved = move(
        deal_id=deal_id,
        action=Action.REQUEST_PAYMENT,
        actor=actor,
        at=at,
        guard=ownership_is_proved,
    )
    if moved.is_new:
        assert moved.deal.deadline_at is not None  # by the table's CHECK
        payment_services.open_escrow(
            reference=deal_id,
            price_nano=moved.deal.price_nano,
            payment_deadline_at=moved.deal.deadline_at,
            actor=actor,
            at=at,
        )


@requires_transaction
def set_refund_address(
    *, deal_id: UUID, address: str, comment: str, typed_by_hand: bool, actor: Actor, at: datetime
) -> GivenAddressView:
    """The advertiser says where a refund would go; then the deposit address is shown.

    Raises:
        DealNotFound, NotAllowed: the actor is not the deal's advertiser.
        NoDepositYet: there is nothing to pay yet.
        InvalidTonAddress: the address is not usable.
        AddressNotProved: it is neither proved nor confirmed as typed by hand.
    """
    deal = lock(deal_id)
    permissions.check_advertiser(actor, deal)
    if payments.escrow_view(deal_id) is None:
        raise NoDepositYet
    return payment_services.set_refund_destination(
        reference=deal_id,
        user_id=deal.advertiser_id,
        address=address,
        comment=comment,
        typed_by_hand=typed_by_hand,
        actor=actor,
        at=at,
    )


@requires_transaction
def fund_deal(*, deal_id: UUID, actor: Actor, at: datetime) -> None:
    """Go on with a deal whose escrow holds its price; once in its life.

    A deal that had expired is revived by a deposit that was in time.

    Raises:
        NotFunded: payments says otherwise.
    """
    lock(deal_id)
    if DealEvent.objects.filter(deal_id=deal_id, action=Action.FUND).exists():
        return

    def escrow_is_funded(deal: Deal) -> None:
        if deal.id not in payments.funded_references([deal.id]):
            raise NotFunded

    move(deal_id=deal_id, action=Action.FUND, actor=actor, at=at, guard=escrow_is_funded)


# --- The ad -------------------------------------------------------------------------------------


@requires_transaction
def submit_creative(
    *, deal_id: UUID, draft: Draft, parts: Parts, actor: Actor, at: datetime
) -> None:
    """The owner's side submits a version of the ad; `parts` is what Telegram made of it.

    The same draft again, while it awaits approval, changes nothing.

    Raises:
        CreativeInvalid: it breaks the brief, and which rule of it.
        NotRehearsed: Telegram was not asked about all of it; send it again.
        IllegalTransition: another draft awaits approval.
    """
    draft.check()

    def fits_brief(deal: Deal) -> None:
        if len(parts) != len(draft.parts):
            raise NotRehearsed
        check_against_brief(
            parts, links=deal.brief.links, forbidden_words=deal.brief.forbidden_words
        )

    moved = move(
        deal_id=deal_id, action=Action.SUBMIT_CREATIVE, actor=actor, at=at, guard=fits_brief
    )
    latest = _latest_creative(moved.deal)
    if not moved.is_new:
        if latest is None or Draft.of(latest) != draft:
            raise IllegalTransition(moved.source, Action.SUBMIT_CREATIVE)
        return
    Creative.objects.create(
        deal=moved.deal,
        version=latest.version + 1 if latest else 1,
        **draft.to_columns(),
        parts=[[content.to_json() for content in part] for part in parts],
        content_hash=digest(content for part in parts for content in part),
        submitted_by=int(actor.id),
        submitted_at=at,
    )


@requires_transaction
def request_revision(*, deal_id: UUID, note: str, actor: Actor, at: datetime) -> None:
    """The advertiser wants another version, and says why."""
    moved = move(deal_id=deal_id, action=Action.REVISE, actor=actor, reason=note, at=at)
    if moved.is_new:
        creative = _latest_creative(moved.deal)
        assert creative is not None  # the deal was CREATIVE_SUBMITTED
        creative.revision_note = note
        creative.save(update_fields=["revision_note"])


@requires_transaction
def approve_creative(
    *, deal_id: UUID, version: int | None = None, actor: Actor, at: datetime
) -> None:
    """The advertiser approves the draft that awaits it: exactly that will be posted.

    `version` is the deal's (not the draft's) as the advertiser saw it.

    Raises:
        DealMovedOn: the deal has another version by now.
    """
    _lock_version(deal_id, version, actor)
    moved = move(deal_id=deal_id, action=Action.APPROVE, actor=actor, at=at)
    if moved.is_new:
        creative = _latest_creative(moved.deal)
        assert creative is not None  # the deal was CREATIVE_SUBMITTED
        creative.approved_at = at
        creative.save(update_fields=["approved_at"])


@requires_transaction
def schedule_post(
    *, deal_id: UUID, publish_at: datetime | None = None, actor: Actor, at: datetime
) -> None:
    """The owner's side sets when the bot posts the ad; without a time, now.

    Raises:
        TimeNotPossible: the time is past or more than 30 days ahead.
        IllegalTransition: another time is set.
    """
    if publish_at is not None and not at <= publish_at <= at + MAX_AHEAD:
        raise TimeNotPossible(days=MAX_AHEAD.days)
    when = publish_at or at
    moved = move(
        deal_id=deal_id,
        action=Action.SCHEDULE,
        actor=actor,
        at=at,
        publish_at=when,
        due_at=when,
    )
    set_for = moved.deal.publish_at
    assert set_for is not None  # by the table's CHECK
    if set_for != when and (publish_at is not None or set_for > at):
        raise IllegalTransition(moved.source, Action.SCHEDULE)
    wake_after_commit(_POST_DUE)


@requires_transaction
def press_button(
    *, deal_id: UUID, version: int, action: Action, actor: Actor, at: datetime
) -> None:
    """Do what a button under a message about version `version` of the deal stands for.

    Raises:
        DealMovedOn: the deal has another version by now.
    """
    _BUTTONS[action](deal_id=deal_id, version=version, actor=actor, at=at)


_BUTTONS: dict[Action, Callable[..., None]] = {
    Action.ACCEPT: accept_offer,
    Action.REJECT: reject_offer,
    Action.APPROVE: approve_creative,
}


def _lock_version(deal_id: UUID, version: int | None, actor: Actor) -> None:
    """Lock the deal; refuse who decides about another version of it than there is."""
    deal = lock(deal_id)
    permissions.check_visible(actor, deal)
    if version is not None and deal.version != version:
        raise DealMovedOn


def _latest_creative(deal: Deal) -> Creative | None:
    return Creative.objects.filter(deal=deal).order_by("-version").first()
