"""Who hears what: a line per event and audience, its words, and the buttons under them.

Texts are in the HTML of the Bot API; {placeholders} are the facts of `facts.py`, escaped. Adding a
notice is adding a line here, and its translation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.events import PayoutAddressChanged
from accounts.selectors import NoSuchUser, get_user
from advertmarket.messaging.events import Event
from channels.events import ChannelRegistered
from deals import events as deals
from deals.selectors import people_of
from payments import selectors as payments
from payments.events import (
    DepositLate,
    DepositNeedsReview,
    DepositOverpaid,
    DepositPartial,
    PayoutUnclaimed,
    RefundAddressChanged,
    SettlementConfirmed,
    SettlementStuck,
)


@dataclass(frozen=True)
class Choice:
    """A button that does something with the deal: `action` is what `deals.bot` listens for."""

    label: Promise
    action: str


@dataclass(frozen=True)
class Notice:
    """What one audience hears of an event; `when` leaves out events that it does not concern.

    `to` tells a person, or None where there is nobody whom the bot knows. Where it is None itself,
    the notice is for every operator who said where alarms go, and opens their pages.
    """

    template: str
    event: type[Event]
    to: Callable[[Any], int | None] | None
    text: Promise
    choices: tuple[Choice, ...] = ()
    about_money: bool = False
    when: Callable[[Any], bool] = lambda _event: True


def _advertiser(event: deals.DealEvent) -> int:
    return event.advertiser_id


def _owner(event: deals.DealEvent) -> int:
    return event.owner_id


def _payee(event: SettlementConfirmed | SettlementStuck | PayoutUnclaimed) -> int | None:
    return event.payee_id


def _user(event: PayoutAddressChanged) -> int:
    return event.user_id


def _creator(event: ChannelRegistered) -> int | None:
    """The channel's creator, if somebody else registered it and the bot may write to them."""
    if event.creator_id in (None, event.owner_id):
        return None
    try:
        return get_user(event.creator_id).id
    except NoSuchUser:
        return None


def _payer(
    event: DepositPartial
    | DepositOverpaid
    | DepositLate
    | DepositNeedsReview
    | RefundAddressChanged,
) -> int:
    return people_of(event.deal_id).advertiser_id


def _is_payout(event: SettlementConfirmed) -> bool:
    return event.kind == "PAYOUT"


def _is_refund(event: SettlementConfirmed) -> bool:
    return event.kind.endswith("REFUND")


def _is_stuck_payout(event: SettlementStuck) -> bool:
    """Whether a payout waits for us: of one that nobody claims `PayoutUnclaimed` tells."""
    return event.kind == "PAYOUT" and not event.reason.startswith("unclaimed")


def _knows_where_to(event: DepositLate) -> bool:
    return payments.refund_destination_given(event.deal_id)


def _gives_back(event: deals.DealEvent) -> bool:
    return payments.given_back_nano(event.deal_id) > 0


def _gives_nothing_back(event: deals.DealEvent) -> bool:
    return not _gives_back(event)


_ON_OFFER = (Choice(_("Accept"), "accept"), Choice(_("Reject"), "reject"))
_ON_DRAFT = (Choice(_("Approve"), "approve"), Choice(_("Ask for a revision"), "revise"))

NOTICES = (
    Notice(
        "NEW_OFFER",
        deals.OfferSubmitted,
        _owner,
        _("<b>New offer</b> for {channel}: {price} TON\n\n{brief}"),
        choices=_ON_OFFER,
    ),
    Notice(
        "CHANNEL_REGISTERED",
        ChannelRegistered,
        _creator,
        _(
            "<b>Your channel {channel} was registered here by {registrar}</b>, an administrator "
            "who may post there. They answer for its ads, and get the payouts.\n\nIf you do not "
            "want that, take the right to post from them, or remove the bot from the channel."
        ),
        about_money=True,
    ),
    Notice(
        "OFFER_ACCEPTED",
        deals.PaymentRequested,
        _advertiser,
        _(
            "<b>{channel} accepted your offer.</b>\n\nOpen the deal, say where a refund would go, "
            "and pay {price} TON to the address that is shown there."
        ),
    ),
    Notice(
        "OFFER_REJECTED",
        deals.OfferRejected,
        _advertiser,
        _("{channel} declined your offer of {price} TON."),
    ),
    Notice(
        "ESCROW_FUNDED",
        deals.DealFunded,
        _owner,
        _("<b>{price} TON for {channel} are in escrow.</b>\n\nOpen the deal and submit the ad."),
        about_money=True,
    ),
    Notice(
        "ESCROW_FUNDED",
        deals.DealFunded,
        _advertiser,
        _(
            "<b>Your deposit of {price} TON arrived.</b>\n\nIt stays in escrow while {channel} "
            "prepares the ad."
        ),
        about_money=True,
    ),
    Notice(
        "CREATIVE_SUBMITTED",
        deals.CreativeSubmitted,
        _advertiser,
        _("<b>{channel} sent the ad for your approval:</b>\n\n{creative}"),
        choices=_ON_DRAFT,
    ),
    Notice(
        "REVISION_REQUESTED",
        deals.RevisionRequested,
        _owner,
        _("<b>The advertiser asks for another version of the ad</b> for {channel}.\n\n{note}"),
    ),
    Notice(
        "CREATIVE_APPROVED",
        deals.CreativeApproved,
        _owner,
        _("<b>The ad for {channel} is approved.</b>\n\nOpen the deal and publish or schedule it."),
    ),
    Notice(
        "PUBLISHED",
        deals.PostPublished,
        _advertiser,
        _("<b>Your ad is published in {channel}.</b>\n\nFrom now on we check that it stays up."),
    ),
    Notice(
        "PUBLISHED",
        deals.PostPublished,
        _owner,
        _(
            "<b>The ad is published in {channel}.</b>\n\nLeave it as it is until the checks are "
            "done; then you are paid."
        ),
    ),
    Notice(
        "DELIVERY_VERIFIED",
        deals.DeliveryVerified,
        _owner,
        _("<b>The ad in {channel} passed all checks.</b>\n\nYour payout is on its way."),
        about_money=True,
    ),
    Notice(
        "DELIVERY_VERIFIED",
        deals.DeliveryVerified,
        _advertiser,
        _("<b>Your ad in {channel} stayed up as agreed.</b>\n\nThe channel is being paid."),
        about_money=True,
    ),
    Notice(
        "PAYOUT_SENT",
        SettlementConfirmed,
        _payee,
        _("<b>{amount} TON were paid out to you.</b>\n\nOn the chain: <code>{tx_hash}</code>"),
        about_money=True,
        when=_is_payout,
    ),
    Notice(
        "PAYOUT_STUCK",
        SettlementStuck,
        _payee,
        _(
            "<b>Your payout of {amount} TON waits.</b>\n\nOpen the app and check your payout "
            "address. If it is right, there is nothing to do: we are looking into it."
        ),
        about_money=True,
        when=_is_stuck_payout,
    ),
    Notice(
        "SETTLEMENT_STUCK",
        SettlementStuck,
        None,
        _("<b>{kind}, {amount} TON: {reason}.</b>\n\nIt waits for an operator."),
        about_money=True,
    ),
    Notice(
        "PAYOUT_UNCLAIMED",
        PayoutUnclaimed,
        _payee,
        _(
            "<b>{amount} TON are yours, and nobody knows where to send them.</b>\n\nOpen the app "
            "and give your payout address: the payout then goes out by itself. After 30 days an "
            "operator decides what becomes of it."
        ),
        about_money=True,
        when=lambda event: event.day < 30,
    ),
    Notice(
        "PAYOUT_UNCLAIMED",
        PayoutUnclaimed,
        _payee,
        _(
            "<b>{amount} TON have been waiting for your payout address for 30 days.</b>\n\nAn "
            "operator now decides what becomes of them; it may go back to the advertiser. Give "
            "your address in the app at once."
        ),
        about_money=True,
        when=lambda event: event.day >= 30,
    ),
    Notice(
        "REFUND_SENT",
        SettlementConfirmed,
        _payee,
        _("<b>{amount} TON were sent back to you.</b>\n\nOn the chain: <code>{tx_hash}</code>"),
        about_money=True,
        when=_is_refund,
    ),
    Notice(
        "DEPOSIT_PARTIAL",
        DepositPartial,
        _payer,
        _(
            "<b>{received} TON arrived for the deal with {channel}; {missing} TON are missing.</b>"
            "\n\nSend the rest to the same address. What does not add up to the price within a "
            "day goes back."
        ),
        about_money=True,
    ),
    Notice(
        "DEPOSIT_OVERPAID",
        DepositOverpaid,
        _payer,
        _(
            "<b>You sent {excess} TON more than the price</b> of the deal with {channel}.\n\nThey "
            "go back to your refund address."
        ),
        about_money=True,
        when=lambda event: not event.needs_operator,
    ),
    Notice(
        "DEPOSIT_OVERPAID",
        DepositOverpaid,
        _payer,
        _(
            "<b>You sent {excess} TON more than the price</b> of the deal with {channel}.\n\nThat "
            "is so much that an operator looks at it first; then they go back."
        ),
        about_money=True,
        when=lambda event: event.needs_operator,
    ),
    Notice(
        "DEPOSIT_LATE",
        DepositLate,
        _payer,
        _(
            "<b>{amount} TON came for the deal with {channel} after it had ended.</b>\n\nThey go "
            "back to your refund address."
        ),
        about_money=True,
        when=_knows_where_to,
    ),
    Notice(
        "DEPOSIT_LATE",
        DepositLate,
        _payer,
        _(
            "<b>{amount} TON came for the deal with {channel} after it had ended.</b>\n\nOpen the "
            "deal and say where they go back to."
        ),
        about_money=True,
        when=lambda event: not _knows_where_to(event),
    ),
    Notice(
        "LARGE_DEPOSIT_REVIEW",
        DepositNeedsReview,
        _payer,
        _(
            "<b>Your deposit of {amount} TON for the deal with {channel} arrived.</b>\n\nAn "
            "operator looks at sums of this size; the deadline stands still meanwhile."
        ),
        about_money=True,
        when=lambda event: event.reminder == 0,
    ),
    Notice(
        "DEPOSIT_IN_REVIEW",
        DepositNeedsReview,
        None,
        _(
            "<b>A deposit of {amount} TON for the deal with {channel}.</b>\n\nIt waits for an "
            "operator's yes or no."
        ),
        about_money=True,
        when=lambda event: event.reminder == 0,
    ),
    Notice(
        "DISPUTE_OPENED",
        deals.DisputeOpened,
        _advertiser,
        _(
            "<b>There is a dispute about the deal with {channel} over {price} TON:</b> "
            "{dispute_reason}.\n\nThe money stays in escrow until an operator has decided. Open "
            "the deal and add what shows who is right."
        ),
        about_money=True,
    ),
    Notice(
        "DISPUTE_OPENED",
        deals.DisputeOpened,
        _owner,
        _(
            "<b>There is a dispute about the deal for {channel} over {price} TON:</b> "
            "{dispute_reason}.\n\nThe money stays in escrow until an operator has decided. Open "
            "the deal and add what shows who is right."
        ),
        about_money=True,
    ),
    Notice(
        "DISPUTE_RESOLVED",
        deals.DisputeResolved,
        _advertiser,
        _(
            "<b>The dispute about the deal with {channel} is decided: {decision}.</b>\n\n"
            "{decision_reason}"
        ),
        about_money=True,
    ),
    Notice(
        "DISPUTE_RESOLVED",
        deals.DisputeResolved,
        _owner,
        _(
            "<b>The dispute about the deal for {channel} is decided: {decision}.</b>\n\n"
            "{decision_reason}"
        ),
        about_money=True,
    ),
    Notice(
        "PAYOUT_TAKEN_BACK",
        deals.DealRefunded,
        _owner,
        _(
            "The payout for {channel} over {price} TON was not claimed in time; the money went "
            "back to the advertiser."
        ),
        about_money=True,
        when=lambda event: event.from_status == "DELIVERY_VERIFIED",
    ),
    Notice(
        "CANCELLATION_ASKED",
        deals.CancellationAsked,
        _advertiser,
        _(
            "<b>The channel {channel} asks to cancel the deal over {price} TON.</b>\n\nIf you "
            "agree, open the deal and cancel it: your money goes back."
        ),
    ),
    Notice(
        "CANCELLATION_ASKED",
        deals.CancellationAsked,
        _owner,
        _(
            "<b>The advertiser asks to cancel the deal for {channel} over {price} TON.</b>\n\nIf "
            "you agree, open the deal and cancel it: their money goes back."
        ),
    ),
    Notice(
        "PAYOUT_ADDRESS_CHANGED",
        PayoutAddressChanged,
        _user,
        _(
            "<b>Your payouts go to {address}</b> from {effective_at} on.\n\nIf that was not you, "
            "change the address back in the app and write to support at once."
        ),
        about_money=True,
        when=lambda event: event.proved,
    ),
    Notice(
        "PAYOUT_ADDRESS_CHANGED",
        PayoutAddressChanged,
        _user,
        _(
            "<b>Your payouts go to {address}</b> from {effective_at} on.\n\nThe address was typed "
            "by hand and is not proved: money sent to a wrong address is lost. Check it, or "
            "connect its wallet in the app.\n\nIf that was not you, change the address back in "
            "the app and write to support at once."
        ),
        about_money=True,
        when=lambda event: not event.proved,
    ),
    Notice(
        "REFUND_ADDRESS_CHANGED",
        RefundAddressChanged,
        _payer,
        _(
            "<b>A refund of the deal with {channel} goes to {address}</b> from {effective_at} on."
            "\n\nIf that was not you, change the address back in the app and write to support at "
            "once."
        ),
        about_money=True,
        when=lambda event: event.proved,
    ),
    Notice(
        "REFUND_ADDRESS_CHANGED",
        RefundAddressChanged,
        _payer,
        _(
            "<b>A refund of the deal with {channel} goes to {address}</b> from {effective_at} on."
            "\n\nThe address was typed by hand and is not proved: money sent to a wrong address is "
            "lost. Check it, or connect its wallet in the app.\n\nIf that was not you, change the "
            "address back in the app and write to support at once."
        ),
        about_money=True,
        when=lambda event: not event.proved,
    ),
    Notice(
        "DEAL_HELD",
        deals.DealHeld,
        _advertiser,
        _(
            "<b>The deal with {channel} over {price} TON waits for an operator.</b>\n\nUntil they "
            "have looked, nothing happens, and no money moves. You need not do anything."
        ),
        about_money=True,
    ),
    Notice(
        "DEAL_HELD",
        deals.DealHeld,
        _owner,
        _(
            "<b>The deal for {channel} over {price} TON waits for an operator.</b>\n\nUntil they "
            "have looked, nothing happens, and no money moves. You need not do anything."
        ),
        about_money=True,
    ),
    Notice(
        "DEAL_CANCELLED",
        deals.DealCancelled,
        _advertiser,
        _("The deal with {channel} over {price} TON was cancelled."),
        when=_gives_nothing_back,
    ),
    Notice(
        "DEAL_CANCELLED",
        deals.DealCancelled,
        _advertiser,
        _("The deal with {channel} over {price} TON was cancelled. {refund} TON go back to you."),
        about_money=True,
        when=_gives_back,
    ),
    Notice(
        "DEAL_CANCELLED",
        deals.DealCancelled,
        _owner,
        _("The deal for {channel} over {price} TON was cancelled."),
        when=lambda event: event.from_status != "DRAFT",
    ),
    Notice(
        "DEAL_EXPIRED",
        deals.DealExpired,
        _advertiser,
        _("The deal with {channel} over {price} TON expired: its deadline passed."),
        when=_gives_nothing_back,
    ),
    Notice(
        "DEAL_EXPIRED",
        deals.DealExpired,
        _advertiser,
        _(
            "The deal with {channel} over {price} TON expired: its deadline passed. {refund} TON "
            "go back to you."
        ),
        about_money=True,
        when=_gives_back,
    ),
    Notice(
        "DEAL_EXPIRED",
        deals.DealExpired,
        _owner,
        _("The deal for {channel} over {price} TON expired: its deadline passed."),
    ),
)
