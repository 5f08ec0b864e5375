"""Owed transfers that wait for an operator, or that one stops."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from pydantic import Field

from accounts.selectors import PAYOUT_ADDRESS, stored_destination
from accounts.services import mask_address
from advertmarket.actors import Actor
from advertmarket.db import release_connection
from advertmarket.errors import Code, DomainError
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.books.ledger import Line
from payments.chain.adoption import given_up, may_have_sent, withheld
from payments.escrows import lock_escrow
from payments.models import Escrow, Journal, Settlement, TonTransaction, Wallet
from payments.sending import settlements
from payments.sending.receipts import receipt_of, shows_arrival
from payments.sending.settlements import NoSuchSettlement
from payments.sending.transfers import REFUND_FIELD, REFUNDS
from payments.ton import client
from payments.ton.schema import ChainTransaction, WalletState
from payments.wallets import TREASURY, refuse_own

from .registry import FourEyes, Nano, Payload, ToSomebody, operation

_S = Settlement.State
_STANDING = (_S.QUEUED, _S.HELD, _S.NEEDS_OPERATOR)
_LONGEST_REASON = 100
"""What tells two reasons apart in the key of an event."""


class NotAsItStands(DomainError):
    """The settlement's state does not allow this."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("This transfer is {state}: {problem}.")


class NotSeenOnChain(DomainError):
    """The chain does not show what the operator says."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("The chain does not show that the recipient has it.")


class ASettlement(Payload):
    """An owed transfer, and what is owed, as the operator saw it."""

    settlement_id: UUID
    nano: Nano

    def amount_nano(self) -> int:
        """Return what is owed."""
        return self.nano


class AHeldSettlement(ASettlement):
    """A held transfer, and why it was held when the operator looked."""

    held_for: str = Field(max_length=300)


def _address_given(seen: dict[str, Any]) -> str:
    settlement = Settlement.objects.filter(pk=seen["settlement_id"]).first()
    return _payees_address(settlement) if settlement else ""


class AStuckSettlement(ASettlement):
    """One that will not reach its payee, and what it waited for when the operator looked.

    `payee_address` (masked) is what its payee had given when it was asked for.
    """

    waiting_for: str = Field(max_length=300)
    payee_address: str = Field(max_length=20, default_factory=_address_given)


class ATopUp(ASettlement):
    """A transfer whose wallet lacks more than a fee, and what the treasury sends there."""

    gas_nano: Nano


class ADestination(ToSomebody, ASettlement):
    """Where an owed transfer goes instead."""


@operation("settlement.hold", ASettlement)
def hold(
    payload: ASettlement, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Keep it from being signed.

    Raises:
        NotAsItStands: it may be on its way already.
    """
    settlement = _lock_standing(payload)
    why = f"an operator: {reason}"[:_LONGEST_REASON]
    settlements.hold(settlement=settlement, reason=why, at=at)


@operation("settlement.release", AHeldSettlement, four_eyes=FourEyes.ABOVE_LIMIT)
def release(
    payload: AHeldSettlement, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Let a held one go out: a bounced one again, or an overpayment that somebody judged.

    Raises:
        NotAsItStands: it is not held, or for another reason than the operator saw.
    """
    settlement = _lock(payload)
    if settlement.state != _S.HELD:
        raise NotAsItStands(state=settlement.state, problem=_("it is not held"))
    if settlement.waiting_for != payload.held_for:
        raise NotAsItStands(state=settlement.state, problem=_("it is held for another reason"))
    settlements.requeue(settlement=settlement, at=at)


@operation("settlement.retry", ASettlement)
def retry(
    payload: ASettlement, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Try again at once what waits, or what was given up.

    Raises:
        NotAsItStands: it is held, over, or on its way.
    """
    settlement = _lock_standing(payload)
    if settlement.state == _S.HELD:
        raise NotAsItStands(state=settlement.state, problem=_("release it instead"))
    settlements.requeue(settlement=settlement, at=at)


@operation("settlement.top_up", ATopUp, four_eyes=FourEyes.ALWAYS)
def top_up(payload: ATopUp, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime) -> None:
    """Have the treasury send its wallet what it lacks, more than a fee, and try it again.

    A recipient's contract can burn up to 0.4 TON and then send the money back; it is owed in full.

    Raises:
        NotAsItStands: it was not given up, or gas is on its way to its wallet already.
    """
    treasury = Wallet.objects.select_for_update(no_key=True).get(subwallet=TREASURY)
    settlement = _lock_standing(payload)
    if settlement.state != _S.NEEDS_OPERATOR or settlement.wallet_id == TREASURY:
        raise NotAsItStands(state=settlement.state, problem=_("nothing was found to be lacking"))
    if settlements.gas_is_coming(settlement):
        raise NotAsItStands(state=settlement.state, problem=_("gas is on its way"))
    settlements.top_up(
        settlement=settlement, treasury=treasury, amount_nano=payload.gas_nano, at=at
    )
    settlements.requeue(settlement=settlement, at=at)


def _find_receipt(payload: ASettlement) -> ChainTransaction | None:
    landed = _landed(payload.settlement_id)
    release_connection()
    return receipt_of(landed, client.reading()) if landed else None


@operation("settlement.confirm", ASettlement, four_eyes=FourEyes.ALWAYS, look=_find_receipt)
def confirm(
    payload: ASettlement,
    *,
    evidence: ChainTransaction | None,
    reason: str,
    actor: Actor,
    at: dt.datetime,
) -> None:
    """End one that the recipient has, as the chain itself shows.

    Raises:
        NotSeenOnChain: it has not landed, or the recipient's side is missing or bounced.
    """
    settlement = _lock(payload)
    landed = _landed(settlement.pk)
    if landed is None or evidence is None or not shows_arrival(evidence, landed):
        raise NotSeenOnChain
    if evidence.bounced_back:
        raise NotSeenOnChain
    settlements.confirm(settlement=settlement, attempt=landed, at=at)


@operation("settlement.change_destination", ADestination, four_eyes=FourEyes.ALWAYS)
def change_destination(
    payload: ADestination, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Send it to another address than its payee's; it stays held or queued as it is.

    One that was unclaimed waits for its payee no more, but for us.

    Raises:
        NotAsItStands: it may be on its way already, or it is the platform's own money.
        OwnAddress, InvalidTonAddress, CommentTooLong: the address cannot be used.
    """
    settlement = _lock_standing(payload)
    if settlement.kind not in {Settlement.Kind.PAYOUT, *REFUNDS}:
        raise NotAsItStands(state=settlement.state, problem=_("it is the platform's own money"))
    refuse_own(payload.address)
    settlement.destination, settlement.comment = payload.address, payload.comment
    if settlement.unclaimed_since_at is not None:
        settlement.unclaimed_since_at = settlement.reminded_day = None
        settlement.payable_since_at = at
    settlement.save()


def _see_wallet(payload: ASettlement) -> WalletState | None:
    wallet = Wallet.objects.filter(settlements=payload.settlement_id).first()
    release_connection()
    return client.reading().wallet_state(wallet.address) if wallet else None


@operation(
    "settlement.cancel_into_refund", AStuckSettlement, four_eyes=FourEyes.ALWAYS, look=_see_wallet
)
def cancel_into_refund(
    payload: AStuckSettlement,
    *,
    evidence: WalletState | None,
    reason: str,
    actor: Actor,
    at: dt.datetime,
) -> None:
    """Give the money of a payout that cannot be paid back to the advertiser, commission and all.

    Raises:
        NotAsItStands: no payout, or it may be on its way; it waits for something else by now, or
            its payee has given another address; or a refund of the deal is under way, or its
            commission.
    """
    escrow = _lock_escrow(payload)
    settlement = _lock_unsent(payload, evidence)
    reference = settlement.reference
    if escrow is None or settlement.kind != Settlement.Kind.PAYOUT:
        raise NotAsItStands(state=settlement.state, problem=_("it is no payout"))
    refunds = Settlement.objects.filter(reference=reference, kind=Settlement.Kind.REFUND)
    if refunds.open().exists():
        raise NotAsItStands(state=settlement.state, problem=_("a refund is under way"))
    owed = PerDeal.REFUND_PENDING.of(reference)
    commission = PerDeal.COMMISSION.of(reference)
    lines = [Line(PerDeal.OWNER_PENDING.of(reference), owed, settlement.amount_nano)]
    if commission_nano := ledger.balance(commission):
        _call_off_sweep(settlement, at)
        lines.append(Line(commission, owed, commission_nano))
    owed_nano = settlement.amount_nano + commission_nano
    refund = settlements.owe_refund(escrow=escrow, amount_nano=owed_nano, at=at)
    ledger.post(
        kind=Journal.Kind.UNCLAIMED_REFUND,
        key=f"unclaimed:{refund.pk}",
        lines=lines,
        actor=actor,
        at=at,
    )
    escrow.state = Escrow.State.REFUNDED
    escrow.save(update_fields=["state"])
    settlements.cancel(settlement=settlement, why="an operator gave it back", at=at)


@dataclass(frozen=True)
class GivenBack:
    """A payout that operators gave back, and the refund that is owed instead; all are locked."""

    escrow: Escrow
    payout: Settlement
    refund: Settlement


def lock_given_back(journal: Journal) -> GivenBack:
    """Lock what `cancel_into_refund` changed when it posted a journal."""
    refund_id = UUID(journal.key.removeprefix("unclaimed:"))
    reference = Settlement.objects.values_list("reference", flat=True).get(pk=refund_id)
    escrow = lock_escrow(reference)
    refund = settlements.lock(refund_id)
    payout = Settlement.objects.get(reference=reference, kind=Settlement.Kind.PAYOUT)
    return GivenBack(escrow, settlements.lock(payout.pk), refund)


def take_back_refund(given_back: GivenBack, *, at: dt.datetime) -> None:
    """Undo `cancel_into_refund`, since the payout had left before: adopting it will end it.

    Until then it is held. The refund cannot have left as well: the payout has the seqno that it
    would have been signed with, and nothing is signed from a frozen wallet.

    Raises:
        NotAsItStands: nothing shows that the payout had left; or the refund is over, or may be on
            its way.
    """
    escrow, payout, refund = given_back.escrow, given_back.payout, given_back.refund
    is_frozen = payout.wallet.frozen_at is not None
    if not is_frozen or not may_have_sent(payout.wallet, payout, at=at):
        problem = _("nothing shows that it had left when it was given back")
        raise NotAsItStands(state=payout.state, problem=problem)
    if not _stands(refund):
        problem = _("it is over, or on its way; if it was written off, reverse that first")
        raise NotAsItStands(state=refund.state, problem=problem)
    payout.payable_since_at = at
    payout.save(update_fields=["payable_since_at"])
    # before the refund ends: with nothing open, the deal would count as settled
    settlements.move(
        settlement=payout,
        state=_S.HELD,
        waiting_for="had left when it was given back: adopt it",
        due_at=at,
        at=at,
    )
    was_split = Journal.objects.filter(key=f"split:{escrow.reference}").exists()
    escrow.state = Escrow.State.SPLIT if was_split else Escrow.State.RELEASED
    escrow.save(update_fields=["state"])
    settlements.cancel(settlement=refund, why="the payout had left", at=at)


@operation("settlement.extend_unclaimed", ASettlement)
def extend_unclaimed(
    payload: ASettlement, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Give the payee of an unclaimed payout its thirty days anew.

    Raises:
        NotAsItStands: it does not wait for an address.
    """
    settlement = _lock_standing(payload)
    if settlement.unclaimed_since_at is None:
        raise NotAsItStands(state=settlement.state, problem=_("it does not wait for an address"))
    settlement.unclaimed_since_at, settlement.reminded_day = at, 0
    settlement.save(update_fields=["unclaimed_since_at", "reminded_day"])


@operation("settlement.write_off", AStuckSettlement, four_eyes=FourEyes.ALWAYS, look=_see_wallet)
def write_off(
    payload: AStuckSettlement,
    *,
    evidence: WalletState | None,
    reason: str,
    actor: Actor,
    at: dt.datetime,
) -> None:
    """Give up a refund that nobody can receive; the money stays the platform's, visibly.

    What came unasked is nobody's again: it can be sent back elsewhere (`wallet.send_back`).

    Raises:
        NotAsItStands: it may be on its way, or it is a payout (which is refunded instead); it waits
            for something else by now, or its payee has given another address.
    """
    _lock_escrow(payload)
    settlement = _lock_unsent(payload, evidence)
    if settlement.kind == Settlement.Kind.PAYOUT:
        raise NotAsItStands(state=settlement.state, problem=_("cancel it into a refund"))
    why = "an operator wrote it off"
    settlements.write_off(settlement=settlement, why=why, actor=actor, at=at)


def _call_off_sweep(payout: Settlement, at: dt.datetime) -> None:
    """Let nothing bring in the commission that goes back: a payout may bounce after it was swept.

    The reader books a sweep that landed from that account, and must never find it empty.
    """
    sweeps = Settlement.objects.filter(
        reference=payout.reference, kind=Settlement.Kind.COMMISSION_SWEEP
    )
    for sweep in sweeps.open():
        if not _stands(sweep):
            raise NotAsItStands(state=payout.state, problem=_("its commission is on its way"))
        settlements.cancel(settlement=sweep, why="an operator gave it back", at=at)


def _landed(settlement_id: UUID) -> TonTransaction | None:
    return TonTransaction.objects.filter(
        settlement_id=settlement_id, state=TonTransaction.State.LANDED
    ).first()


def _lock_escrow(payload: ASettlement) -> Escrow | None:
    """Lock the escrow, where there is a deal: what a deposit or a sweep decides waits."""
    found = Settlement.objects.filter(pk=payload.settlement_id)
    reference = found.values_list("reference", flat=True).first()
    if reference is None:
        raise NoSuchSettlement
    has_deal = Escrow.objects.filter(reference=reference).exists()
    return lock_escrow(reference) if has_deal else None


def _lock(payload: ASettlement) -> Settlement:
    settlement = settlements.lock(payload.settlement_id)
    if settlement.amount_nano != payload.nano:
        raise NotAsItStands(state=settlement.state, problem=_("the amount is another"))
    return settlement


def _lock_standing(payload: ASettlement) -> Settlement:
    settlement = _lock(payload)
    if not _stands(settlement):
        raise NotAsItStands(state=settlement.state, problem=_("it is over, or on its way"))
    return settlement


def _stands(settlement: Settlement) -> bool:
    live = settlement.chain_transactions.filter(state__in=TonTransaction.LIVE)
    return settlement.state in _STANDING and not live.exists()


def _lock_unsent(payload: AStuckSettlement, evidence: WalletState | None) -> Settlement:
    """Lock one of which nothing has left, not even unbooked: its account may be emptied.

    The reader books what landed from that account, and must never find it empty. What a frozen
    wallet sent before a restore waits to be adopted, perhaps for this very decision.
    """
    settlement = _lock_standing(payload)
    if settlement.waiting_for != payload.waiting_for:
        problem = _("it waits for something else by now")
        raise NotAsItStands(state=settlement.state, problem=problem)
    if _payees_address(settlement) != payload.payee_address:
        problem = _("its payee has given another address")
        raise NotAsItStands(state=settlement.state, problem=problem)
    wallet = settlement.wallet
    foreign = wallet.chain_transactions.filter(state=TonTransaction.State.FOREIGN)
    unadopted = list(foreign) if wallet.frozen_at else []
    if evidence is None or evidence.seqno != wallet.expected_seqno + len(unadopted):
        problem = _("its wallet sent something that is not booked")
        raise NotAsItStands(state=settlement.state, problem=problem)
    if given_up(wallet):
        problem = _("its wallet sent what had been given up: reverse that first (journal.reverse)")
        raise NotAsItStands(state=settlement.state, problem=problem)
    if any(withheld(settlement, row.sent_nano) is not None for row in unadopted):
        problem = _("what its wallet sent may be this: adopt that first")
        raise NotAsItStands(state=settlement.state, problem=problem)
    return settlement


def _payees_address(settlement: Settlement) -> str:
    """Return, masked, where the payee wants it, from now on or later; nothing if nobody said."""
    user_id, field = settlement.payee_id, PAYOUT_ADDRESS
    if settlement.kind in REFUNDS - {Settlement.Kind.UNSOLICITED_REFUND}:
        escrow = Escrow.objects.filter(reference=settlement.reference).first()
        user_id = escrow.refund_user_id if escrow else None
        field = REFUND_FIELD.format(reference=settlement.reference)
    given = stored_destination(user_id=user_id, field=field) if user_id else None
    return mask_address(given.address) if given else ""
