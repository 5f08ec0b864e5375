"""What other apps may ask of payments. Each call joins the caller's database transaction."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from accounts import services as accounts
from accounts.selectors import AddressView, Destination, GivenAddressView, stored_destination
from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import constraints, requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.messaging.outbox import publish

from .books import ledger
from .books.chart import PerDeal
from .books.ledger import Line
from .deposits.partials import pays_the_price, return_partial
from .escrows import lock_escrow
from .events import RefundAddressChanged
from .models import ChainCursor, Escrow, Journal, Settlement
from .sending import settlements
from .sending.transfers import REFUND_FIELD
from .wallets import NoWalletReady, OwnAddress, refuse_own, take_wallet

__all__ = [
    "ChainBehind",
    "EscrowExists",
    "EscrowNotEmpty",
    "EscrowNotFunded",
    "NoWalletReady",
    "OwnAddress",
    "SplitNotPossible",
    "close_escrow",
    "open_escrow",
    "refund_escrow",
    "release_escrow",
    "set_refund_destination",
    "split_escrow",
]


class EscrowExists(DomainError):
    """The deal has an escrow already."""

    message = _("This deal has a deposit address already.")


class EscrowNotFunded(DomainError):
    """The escrow does not hold the deal's money: not yet, or no more."""

    message = _("The escrow is {state}, not FUNDED.")


class SplitNotPossible(DomainError):
    """The owner's part is not a part of what escrow holds."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("The owner's part must lie between nothing and what escrow holds.")


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
) -> GivenAddressView:
    """Keep, in the PII vault, where a refund of this deal goes; return it.

    The first address counts at once, unless money has come already. A changed one counts after
    PAYOUT_ADDRESS_COOL_DOWN_S, as with payouts: its owner hears of it, and can change it back.

    Raises:
        InvalidTonAddress: the address is not usable on this network.
        CommentTooLong: over 120 bytes.
        AddressNotProved: the user neither proved it nor confirms that it is typed by hand.
        OwnAddress: it is a deal's own.
    """
    escrow = lock_escrow(reference)
    field = REFUND_FIELD.format(reference=reference)
    before = stored_destination(user_id=user_id, field=field)
    given = accounts.store_address(
        user_id=user_id,
        field=field,
        address=address,
        comment=comment,
        typed_by_hand=typed_by_hand,
        at=at,
    )
    refuse_own(given.address)
    same = before is not None and (before.address, before.comment) == (given.address, given.comment)
    if not same or escrow.refund_effective_at is None:
        waits = before is not None or escrow.deposits.exists()
        cool_down_s = settings.PAYOUT_ADDRESS_COOL_DOWN_S if waits else 0
        escrow.refund_user_id = user_id
        escrow.refund_effective_at = at + dt.timedelta(seconds=cool_down_s)
        escrow.save(update_fields=["refund_user_id", "refund_effective_at"])
        _tell_of_refund_address(escrow, before, given, actor, at)
    return GivenAddressView(**vars(given), effective_at=escrow.refund_effective_at)


def _tell_of_refund_address(
    escrow: Escrow, before: Destination | None, given: AddressView, actor: Actor, at: dt.datetime
) -> None:
    """Audit it; its owner hears of one that comes late or in another's place."""
    counts_from, masked = escrow.refund_effective_at, accounts.mask_address(given.address)
    assert counts_from is not None  # just set
    audit.record(
        actor=actor,
        action="set_refund_address",
        object_type="escrow",
        object_id=str(escrow.reference),
        before={"address": accounts.mask_address(before.address)} if before else None,
        after={"address": masked, "proved": given.proved, "effective_at": counts_from},
        at=at,
    )
    if counts_from > at:
        publish(
            RefundAddressChanged(
                deal_id=escrow.reference,
                address=masked,
                proved=given.proved,
                effective_at=counts_from,
            ),
            key=f"refund-address:{escrow.reference}:{at.isoformat()}",
            at=at,
        )


@requires_transaction
def close_escrow(*, reference: UUID, expired: bool = False, actor: Actor, at: dt.datetime) -> None:
    """Close the escrow of a deal that ends unpaid. Asked again, it changes nothing.

    A deposit that is too small to fund the deal (anyone can send a nano) does not keep it open: it
    is given back. After a deadline (`expired`) a deposit that is found to have been in time funds
    the deal all the same.

    Raises:
        EscrowNotEmpty: a deposit has arrived that pays the price, or may once it is decided.
        ChainBehind: the payment deadline has passed, and the chain is not read that far.
    """
    escrow = lock_escrow(reference)
    if escrow.state in (Escrow.State.CLOSED, Escrow.State.EXPIRED):
        return
    # The cursor first: the reader commits both together, so what it has read is then seen below.
    cursor = ChainCursor.objects.first()
    deadline_at = escrow.payment_deadline_at
    if at >= deadline_at and (cursor is None or cursor.block_at < deadline_at):
        raise ChainBehind
    if escrow.state != Escrow.State.AWAITING or pays_the_price(escrow):
        raise EscrowNotEmpty
    escrow.state = Escrow.State.EXPIRED if expired else Escrow.State.CLOSED
    escrow.ended_at = at
    return_partial(escrow=escrow, actor=actor, at=at)
    escrow.save(update_fields=["state", "ended_at", "partial_since_at"])


@requires_transaction
def release_escrow(
    *, reference: UUID, owner_id: int, owner_share_nano: int, actor: Actor, at: dt.datetime
) -> None:
    """Give all that escrow holds to the owner and the commission, and owe the owner a payout.

    The owner gets `owner_share_nano` (nanoTON); a deposit that was a little short is the
    commission's loss first. Asked again with the same amounts, it changes nothing.

    Raises:
        EscrowNotFunded: the escrow was never funded, or has ended otherwise.
        KeyReused: it was released with another share.
    """
    escrow = _lock_funded(reference, or_decided=Escrow.State.RELEASED)
    assert escrow.funded_nano is not None  # by the table's CHECK
    share = min(owner_share_nano, escrow.funded_nano)
    is_new = _decide(
        escrow,
        Escrow.State.RELEASED,
        kind=Journal.Kind.ESCROW_RELEASE,
        key=f"release:{reference}",
        shares={PerDeal.OWNER_PENDING: share, PerDeal.COMMISSION: escrow.funded_nano - share},
        actor=actor,
        at=at,
    )
    if is_new:
        _owe_payout(escrow, owner_id, share, at)


@requires_transaction
def refund_escrow(*, reference: UUID, actor: Actor, at: dt.datetime) -> None:
    """Give all that escrow holds back to the advertiser. Asked again, it changes nothing.

    Raises:
        EscrowNotFunded: the escrow was never funded, or has ended otherwise.
    """
    escrow = _lock_funded(reference, or_decided=Escrow.State.REFUNDED)
    assert escrow.funded_nano is not None  # by the table's CHECK
    is_new = _decide(
        escrow,
        Escrow.State.REFUNDED,
        kind=Journal.Kind.ESCROW_REFUND,
        key=f"refund:{reference}",
        shares={PerDeal.REFUND_PENDING: escrow.funded_nano},
        actor=actor,
        at=at,
    )
    if is_new:
        settlements.owe_refund(escrow=escrow, amount_nano=escrow.funded_nano, at=at)


@requires_transaction
def split_escrow(
    *,
    reference: UUID,
    owner_id: int,
    owner_gross_nano: int,
    commission_rate_bp: int,
    actor: Actor,
    at: dt.datetime,
) -> None:
    """Divide what escrow holds: `owner_gross_nano` less its commission to the owner, the rest back.

    Commission is taken on the owner's part alone. Asked again with the same amounts, it changes
    nothing.

    Raises:
        EscrowNotFunded: the escrow was never funded, or has ended otherwise.
        SplitNotPossible: the owner's part is below 0 or above what escrow holds.
        KeyReused: it was split otherwise.
    """
    escrow = _lock_funded(reference, or_decided=Escrow.State.SPLIT)
    assert escrow.funded_nano is not None  # by the table's CHECK
    if not 0 <= owner_gross_nano <= escrow.funded_nano:
        raise SplitNotPossible
    commission = owner_gross_nano * commission_rate_bp // 10_000
    share, back = owner_gross_nano - commission, escrow.funded_nano - owner_gross_nano
    is_new = _decide(
        escrow,
        Escrow.State.SPLIT,
        kind=Journal.Kind.PARTIAL_REFUND,
        key=f"split:{reference}",
        shares={
            PerDeal.REFUND_PENDING: back,
            PerDeal.OWNER_PENDING: share,
            PerDeal.COMMISSION: commission,
        },
        actor=actor,
        at=at,
    )
    if is_new and share:
        _owe_payout(escrow, owner_id, share, at)
    if is_new and back:
        settlements.owe_refund(escrow=escrow, amount_nano=back, at=at)


def _decide(
    escrow: Escrow,
    state: Escrow.State,
    *,
    kind: Journal.Kind,
    key: str,
    shares: dict[PerDeal, int],
    actor: Actor,
    at: dt.datetime,
) -> bool:
    """Empty a locked escrow as decided; return whether this is news."""
    reference = escrow.reference
    if escrow.state != Escrow.State.FUNDED and not Journal.objects.filter(key=key).exists():
        raise EscrowNotFunded(state=escrow.state)  # refunded by operators, who undid a release
    source = PerDeal.ESCROW.of(reference)
    lines = [Line(source, to.of(reference), nano) for to, nano in shares.items() if nano]
    ledger.post(kind=kind, key=key, lines=lines, actor=actor, at=at)
    if escrow.state == state:
        return False
    escrow.state, escrow.ended_at = state, at
    escrow.save(update_fields=["state", "ended_at"])
    return True


def _owe_payout(escrow: Escrow, owner_id: int, nano: int, at: dt.datetime) -> None:
    settlements.owe(
        kind=Settlement.Kind.PAYOUT,
        reference=escrow.reference,
        wallet=escrow.wallet,
        payee_id=owner_id,
        amount_nano=nano,
        at=at,
    )


def _lock_funded(reference: UUID, *, or_decided: Escrow.State) -> Escrow:
    escrow = lock_escrow(reference)
    if escrow.state not in (Escrow.State.FUNDED, or_decided):
        raise EscrowNotFunded(state=escrow.state)
    return escrow
