"""The states of an owed transfer. How it leaves stands in `executor`."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID, uuid5

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.messaging.outbox import publish
from advertmarket.metrics import count, observe
from advertmarket.wake import wake_after_commit
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, PerWallet
from payments.books.ledger import Line
from payments.events import EscrowSettled, SettlementConfirmed, SettlementDue, SettlementStuck
from payments.metrics import CONFIRMATION_DELAY_S, SETTLEMENTS
from payments.models import Deposit, Escrow, Journal, Settlement, TonTransaction, Wallet

from .transfers import REFUNDS, source_of

EXECUTE = "payments.tasks.execute_settlements"
_MORE_ATTEMPTS = 5

TREASURY_REFERENCE = UUID(int=0)
"""Stands for the deal in a settlement of the treasury's own."""

DECISIONS = (Settlement.Kind.PAYOUT, Settlement.Kind.REFUND)
"""What a decision on an escrow owes."""

SENT_BACK = "the recipient's contract sent it back"
"""Why a bounced transfer is held."""

_SENT_BACK_OFTEN = "recipients' contracts sent it back three times"
"""Why one is held that its payee can send elsewhere no more: each time costs us up to 0.4 TON."""

_MOST_BOUNCES = 3


class NoSuchSettlement(DomainError):
    """Nothing of this id is or was owed."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("There is no such transfer.")


@requires_transaction
def lock(settlement_id: UUID) -> Settlement:
    """Lock a settlement's wallet, then itself, as every signature does; return it.

    Raises:
        NoSuchSettlement: there is none.
    """
    found = Settlement.objects.filter(pk=settlement_id).values_list("wallet_id", flat=True).first()
    if found is None:
        raise NoSuchSettlement
    wallet = Wallet.objects.select_for_update(no_key=True).get(pk=found)
    settlement = Settlement.objects.select_for_update(no_key=True).get(pk=settlement_id)
    settlement.wallet = wallet
    return settlement


@requires_transaction
def owe(
    *,
    kind: Settlement.Kind,
    reference: UUID,
    wallet: Wallet,
    amount_nano: int,
    at: dt.datetime,
    payee_id: int | None = None,
    deposit: Deposit | None = None,
    destination: str = "",
    comment: str = "",
    held_for: str = "",
) -> Settlement:
    """Record that `amount_nano` (nanoTON) is owed out of `wallet`, and wake the executor.

    `held_for` names what an operator has to decide before anything is sent.
    """
    settlement = Settlement.objects.create(
        kind=kind,
        reference=reference,
        wallet=wallet,
        payee_id=payee_id,
        deposit=deposit,
        destination=destination,
        comment=comment,
        amount_nano=amount_nano,
        payable_since_at=at,
        due_at=at,
        created_at=at,
        state_since_at=at,
    )
    count(SETTLEMENTS, kind, Settlement.State.QUEUED)
    if held_for:
        hold(settlement=settlement, reason=held_for, at=at)
        return settlement
    publish(
        SettlementDue(deal_id=reference, settlement_id=settlement.pk),
        key=f"settlement-due:{settlement.pk}",
        at=at,
    )
    return settlement


@requires_transaction
def owe_refund(
    *,
    escrow: Escrow,
    amount_nano: int,
    at: dt.datetime,
    kind: Settlement.Kind = Settlement.Kind.REFUND,
    deposit: Deposit | None = None,
    held_for: str = "",
) -> Settlement:
    """Owe `amount_nano` (nanoTON) of what a locked escrow holds to its advertiser.

    `deposit` is the one that goes back, where it goes back for itself; `held_for` as in `owe`.
    """
    return owe(
        kind=kind,
        reference=escrow.reference,
        wallet=escrow.wallet,
        payee_id=escrow.refund_user_id,
        deposit=deposit,
        amount_nano=amount_nano,
        held_for=held_for,
        at=at,
    )


@requires_transaction
def top_up(*, settlement: Settlement, treasury: Wallet, amount_nano: int, at: dt.datetime) -> None:
    """Have the locked treasury send gas to a settlement's wallet: none may be coming already."""
    owe(
        kind=Settlement.Kind.GAS_TOPUP,
        reference=settlement.reference,
        wallet=treasury,
        destination=settlement.wallet.address,
        amount_nano=amount_nano,
        at=at,
    )


def gas_is_coming(settlement: Settlement) -> bool:
    """Return whether a top-up of the settlement's wallet is open."""
    top_ups = Settlement.objects.filter(
        reference=settlement.reference, kind=Settlement.Kind.GAS_TOPUP
    )
    return top_ups.open().exists()


@requires_transaction
def move(
    *,
    settlement: Settlement,
    state: Settlement.State,
    waiting_for: str,
    due_at: dt.datetime,
    at: dt.datetime,
) -> None:
    """Write the state of a locked settlement and what it waits for."""
    if settlement.state != state:
        settlement.state, settlement.state_since_at = state, at
        count(SETTLEMENTS, settlement.kind, state)
    settlement.waiting_for, settlement.due_at = waiting_for[:300], due_at
    settlement.confirmed_at = None  # what came back after all is not confirmed any more
    settlement.save(
        update_fields=["state", "state_since_at", "waiting_for", "due_at", "confirmed_at"]
    )


@requires_transaction
def landed(*, settlement: Settlement, at: dt.datetime) -> None:
    """The attempt is on chain with its message out: look at the recipient's side at once."""
    move(
        settlement=settlement,
        state=Settlement.State.SUBMITTED,
        waiting_for="the recipient's side",
        due_at=at,
        at=at,
    )
    wake_after_commit(EXECUTE)


@requires_transaction
def try_anew(*, settlement: Settlement, why: str, at: dt.datetime) -> None:
    """The attempt is over and paid nobody: queue another, or call an operator after the last.

    An attempt that was never broadcast (a pause, a crash) is no failure.
    """
    sent = settlement.chain_transactions.filter(broadcast_at__isnull=False).count()
    if sent >= settlement.attempts_allowed:
        give_up(settlement=settlement, reason=f"{sent} attempts failed: {why}", at=at)
        return
    move(
        settlement=settlement,
        state=Settlement.State.QUEUED,
        waiting_for=f"a new attempt: {why}",
        due_at=at,
        at=at,
    )
    wake_after_commit(EXECUTE)


@requires_transaction
def requeue(*, settlement: Settlement, at: dt.datetime) -> None:
    """An operator, or its payee, wants a locked settlement tried at once, with attempts anew."""
    sent = settlement.chain_transactions.filter(broadcast_at__isnull=False).count()
    settlement.attempts_allowed = sent + _MORE_ATTEMPTS
    if settlement.state != Settlement.State.NEEDS_OPERATOR:  # that one waits for us
        settlement.payable_since_at = at
    settlement.save(update_fields=["attempts_allowed", "payable_since_at"])
    move(
        settlement=settlement,
        state=Settlement.State.QUEUED,
        waiting_for="the executor",
        due_at=at,
        at=at,
    )
    wake_after_commit(EXECUTE)


@requires_transaction
def give_up(*, settlement: Settlement, reason: str, at: dt.datetime) -> None:
    """Nothing more happens by itself: an operator must act."""
    _stop(settlement, Settlement.State.NEEDS_OPERATOR, reason, at)


@requires_transaction
def hold(*, settlement: Settlement, reason: str, at: dt.datetime) -> None:
    """Keep the money where it is until an operator has decided."""
    _stop(settlement, Settlement.State.HELD, reason, at)


@requires_transaction
def hold_returned(*, settlement: Settlement, at: dt.datetime) -> None:
    """Hold what came back. A payout's owner can send it elsewhere; after the third time nobody can
    but operators.
    """
    bounced = settlement.chain_transactions.filter(state=TonTransaction.State.BOUNCED).count()
    reason = SENT_BACK if bounced < _MOST_BOUNCES else _SENT_BACK_OFTEN
    hold(settlement=settlement, reason=reason, at=at)


@requires_transaction
def tell_stuck(*, settlement: Settlement, reason: str, at: dt.datetime) -> None:
    """Publish, once per settlement and reason, that somebody must act."""
    why = uuid5(settlement.pk, reason)
    publish(
        SettlementStuck(
            deal_id=settlement.reference,
            settlement_id=settlement.pk,
            kind=settlement.kind,
            payee_id=settlement.payee_id,
            reason=reason,
        ),
        key=f"settlement-stuck:{settlement.pk}:{settlement.attempts}:{why}",
        at=at,
    )


@requires_transaction
def confirm(*, settlement: Settlement, attempt: TonTransaction, at: dt.datetime) -> None:
    """The recipient has the money: the end of a locked settlement and its attempt."""
    attempt.state = TonTransaction.State.CONFIRMED
    attempt.save(update_fields=["state"])
    end(settlement=settlement, attempt=attempt, at=at)


@requires_transaction
def end(*, settlement: Settlement, attempt: TonTransaction, at: dt.datetime) -> None:
    """A locked settlement is over, and it is told: the recipient has what `attempt` sent."""
    settlement.confirmed_at = at
    settlement.state, settlement.state_since_at = Settlement.State.CONFIRMED, at
    settlement.waiting_for = ""
    settlement.save(update_fields=["confirmed_at", "state", "state_since_at", "waiting_for"])
    count(SETTLEMENTS, settlement.kind, Settlement.State.CONFIRMED)
    took = at - settlement.payable_since_at
    observe(CONFIRMATION_DELAY_S.labels(settlement.kind), took)
    publish(
        SettlementConfirmed(
            deal_id=settlement.reference,
            settlement_id=settlement.pk,
            kind=settlement.kind,
            payee_id=settlement.payee_id,
            amount_nano=attempt.sent_nano,
            tx_hash=attempt.tx_hash,
        ),
        key=f"settlement-confirmed:{settlement.pk}:{attempt.pk}",
        at=at,
    )
    _tell_if_settled(settlement, at)


@requires_transaction
def cancel(*, settlement: Settlement, why: str, at: dt.datetime) -> None:
    """It is owed no more: decided otherwise, or written off. Nothing of it was ever sent."""
    move(settlement=settlement, state=Settlement.State.CANCELLED, waiting_for=why, due_at=at, at=at)
    _tell_if_settled(settlement, at)


@requires_transaction
def write_off(*, settlement: Settlement, why: str, actor: Actor, at: dt.datetime) -> None:
    """Give up a locked settlement; a refund's money is then the platform's.

    What came unasked is then nobody's again. Of a transfer of the platform's own money nothing is
    posted: it stays where it is.
    """
    if settlement.kind == Settlement.Kind.UNSOLICITED_REFUND:
        nobodys = PerWallet.UNSOLICITED.of(settlement.wallet_id)
        ledger.post(
            kind=Journal.Kind.UNSOLICITED_REFUND,
            key=f"unreturned:{settlement.pk}",
            lines=[Line(source_of(settlement), nobodys, settlement.amount_nano)],
            actor=actor,
            at=at,
        )
    elif settlement.kind in REFUNDS:
        key = f"writeoff:{settlement.pk}"
        reversed_before = Journal.objects.filter(key__startswith=key).count()
        ledger.post(
            kind=Journal.Kind.DUST_WRITEOFF,
            key=f"{key}:{reversed_before}",
            lines=[Line(source_of(settlement), DUST_WRITEOFF, settlement.amount_nano)],
            actor=actor,
            at=at,
        )
    cancel(settlement=settlement, why=why, at=at)


def _stop(settlement: Settlement, state: Settlement.State, reason: str, at: dt.datetime) -> None:
    move(settlement=settlement, state=state, waiting_for=reason, due_at=at, at=at)
    tell_stuck(settlement=settlement, reason=reason, at=at)


def _tell_if_settled(settlement: Settlement, at: dt.datetime) -> None:
    """Publish that all that a decision owed is on chain. All of it leaves one wallet, locked."""
    escrow = Escrow.objects.filter(reference=settlement.reference).first()
    if escrow is None or escrow.state not in Escrow.DECIDED:
        return
    owed = Settlement.objects.filter(reference=settlement.reference, kind__in=DECISIONS)
    if settlement.kind in DECISIONS and not owed.open().exists():
        publish(
            EscrowSettled(deal_id=escrow.reference, outcome=escrow.state),
            key=f"escrow-settled:{escrow.reference}:{escrow.state}",
            at=at,
        )
