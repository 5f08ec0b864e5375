"""What other apps may ask of payments. Each call joins the caller's database transaction."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from accounts import services as accounts
from accounts.selectors import AddressView
from advertmarket.actors import Actor
from advertmarket.db import constraints, requires_transaction
from advertmarket.errors import Code, DomainError

from . import ledger, settlements
from .chart import PerDeal
from .ledger import InsufficientFunds, Line
from .models import ChainCursor, Deposit, Escrow, Journal, Settlement
from .pause import PayoutsPaused, confirm_epoch
from .tiers import least_funding
from .wallets import NoWalletReady, take_wallet

__all__ = [
    "ChainBehind",
    "EscrowExists",
    "EscrowNotEmpty",
    "EscrowNotFunded",
    "InsufficientFunds",
    "NoWalletReady",
    "PayoutsPaused",
    "close_escrow",
    "confirm_epoch",
    "open_escrow",
    "release_escrow",
    "set_refund_destination",
]

REFUND_FIELD = "refund_address:{reference}"


class EscrowExists(DomainError):
    """The deal has an escrow already."""

    message = _("This deal has a deposit address already.")


class EscrowNotFunded(DomainError):
    """The escrow does not hold the deal's money: not yet, or no more."""

    message = _("The escrow is {state}, not FUNDED.")


class EscrowNotEmpty(DomainError):
    """Money has arrived: the deal cannot end as an unpaid one."""

    message = _("A deposit has arrived for this deal.")


class ChainBehind(DomainError):
    """The chain is not read up to the payment deadline: a deposit in time may yet be found."""

    code: ClassVar[Code] = Code.SERVICE_UNAVAILABLE
    message = _("The chain is still being read up to the payment deadline.")
    retry_after_s = 5


@requires_transaction
def open_escrow(
    *,
    reference: UUID,
    price_nano: int,
    payment_deadline_at: dt.datetime,
    actor: Actor,
    at: dt.datetime,
) -> str:
    """Open the escrow of a deal with a wallet of its own and return the wallet's raw address.

    Raises:
        NoWalletReady: no checked address is in stock; try again in seconds.
        EscrowExists: the deal has one.
    """
    with constraints({"wallets_reference_key": EscrowExists(), "escrows_pkey": EscrowExists()}):
        wallet = take_wallet(reference=reference)
        Escrow.objects.create(
            reference=reference,
            wallet=wallet,
            price_nano=price_nano,
            payment_deadline_at=payment_deadline_at,
            opened_at=at,
        )
    return wallet.address


@requires_transaction
def set_refund_destination(
    *,
    reference: UUID,
    user_id: int,
    address: str,
    comment: str,
    typed_by_hand: bool,
    actor: Actor,
    at: dt.datetime,
) -> AddressView:
    """Keep, in the PII vault, where a refund of this deal would go; return it.

    Raises:
        InvalidTonAddress: the address is not usable on this network.
        AddressNotProved: the user neither proved it nor confirms that it is typed by hand.
        EscrowNotEmpty: money has arrived, so the address no longer changes by itself.
    """
    escrow = _lock(reference)
    if _has_paid(escrow):
        raise EscrowNotEmpty
    given = accounts.store_address(
        user_id=user_id,
        field=REFUND_FIELD.format(reference=reference),
        address=address,
        comment=comment,
        typed_by_hand=typed_by_hand,
        at=at,
    )
    escrow.refund_user_id = user_id
    escrow.save(update_fields=["refund_user_id"])
    return given


@requires_transaction
def close_escrow(*, reference: UUID, actor: Actor, at: dt.datetime) -> None:
    """Close the escrow of a deal that ends unpaid. Asked again, it changes nothing.

    A deposit that is too small to fund the deal (anyone can send a nano) does not keep it open:
    the money stays in DEPOSIT_PENDING, set aside for an operator.

    Raises:
        EscrowNotEmpty: a deposit has arrived that pays the price, or is not decided yet.
        ChainBehind: the payment deadline has passed, and the chain is not read that far.
    """
    escrow = _lock(reference)
    if escrow.state == Escrow.State.CLOSED:
        return
    # The cursor first: the reader commits both together, so what it has read is then seen below.
    cursor = ChainCursor.objects.first()
    deadline_at = escrow.payment_deadline_at
    if at >= deadline_at and (cursor is None or cursor.block_at < deadline_at):
        raise ChainBehind
    if _has_paid(escrow):
        raise EscrowNotEmpty
    escrow.state, escrow.ended_at = Escrow.State.CLOSED, at
    escrow.save(update_fields=["state", "ended_at"])


@requires_transaction
def release_escrow(
    *, reference: UUID, owner_id: int, owner_share_nano: int, actor: Actor, at: dt.datetime
) -> None:
    """Give all that escrow holds to the owner and the commission, and owe the owner a payout.

    The owner gets `owner_share_nano` (nanoTON); a deposit that was a little short is the
    commission's loss first. Asked again with the same amounts, it changes nothing.

    Raises:
        EscrowNotFunded: the escrow was never funded, or has ended otherwise.
    """
    escrow = _lock(reference)
    if escrow.funded_nano is None:
        raise EscrowNotFunded(state=escrow.state)
    share = min(owner_share_nano, escrow.funded_nano)
    source = PerDeal.ESCROW.of(reference)
    lines = [Line(source, PerDeal.OWNER_PENDING.of(reference), share)]
    if commission := escrow.funded_nano - share:
        lines.append(Line(source, PerDeal.COMMISSION.of(reference), commission))
    ledger.post(
        kind=Journal.Kind.ESCROW_RELEASE,
        key=f"release:{reference}",
        lines=lines,
        actor=actor,
        at=at,
    )
    if escrow.state == Escrow.State.RELEASED:
        return
    escrow.state, escrow.ended_at = Escrow.State.RELEASED, at
    escrow.save(update_fields=["state", "ended_at"])
    settlements.owe(
        kind=Settlement.Kind.PAYOUT,
        reference=reference,
        wallet=escrow.wallet,
        payee_id=owner_id,
        amount_nano=share,
        at=at,
    )


def _has_paid(escrow: Escrow) -> bool:
    deposits = escrow.deposits.all()
    return any(deposit.state == Deposit.State.CONFIRMING for deposit in deposits) or (
        sum(deposit.amount_nano for deposit in deposits) >= least_funding(escrow.price_nano)
    )


def _lock(reference: UUID) -> Escrow:
    return Escrow.objects.select_for_update(no_key=True).get(reference=reference)
