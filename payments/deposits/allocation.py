"""Where a deposit belongs: toward the price, into the escrow, or back."""

from __future__ import annotations

import datetime as dt

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.messaging.outbox import publish
from advertmarket.metrics import count
from payments.books.chart import PerDeal
from payments.events import DepositConfirmed, DepositLate, DepositOverpaid, DepositPartial
from payments.metrics import DEPOSITS
from payments.models import Deposit, Escrow, Settlement
from payments.sending import settlements
from payments.thresholds import AUTOMATIC_EXCESS_BP, DUST_NANO, least_funding

from . import postings
from .partials import partial_nano


@requires_transaction
def allocate(*, escrow: Escrow, deposit: Deposit, actor: Actor, at: dt.datetime) -> None:
    """Give a deposit of a locked escrow to the account where it belongs."""
    if escrow.state == Escrow.State.AWAITING:
        rule = _toward_price(escrow, deposit, actor, at)
    elif escrow.state == Escrow.State.FUNDED:
        shares = {PerDeal.OVERPAYMENT: deposit.amount_nano}
        postings.move(deposit=deposit, shares=shares, actor=actor, at=at)
        _give_back_excess(escrow, deposit, deposit.amount_nano, actor, at)
        rule = "above the price of a funded deal"
    elif _is_in_time(escrow, deposit):
        _fund(escrow, deposit, 0, actor, at)
        rule = "in time for a deal that had expired: funds it"
    else:
        _give_back_late(escrow, deposit, actor, at)
        rule = f"after the end of the deal ({escrow.state})"
    decide(deposit=deposit, rule=rule, at=at)


@requires_transaction
def decide(*, deposit: Deposit, rule: str, at: dt.datetime) -> None:
    """Note by which rule a deposit was given where it belongs."""
    deposit.state, deposit.rule, deposit.decided_at = Deposit.State.ALLOCATED, rule, at
    deposit.save(update_fields=["state", "rule", "decided_at"])
    count(DEPOSITS, "allocated")


def _toward_price(escrow: Escrow, deposit: Deposit, actor: Actor, at: dt.datetime) -> str:
    earlier = partial_nano(escrow)
    received = earlier + deposit.amount_nano
    if received >= least_funding(escrow.price_nano):
        _fund(escrow, deposit, earlier, actor, at)
        return "funds the deal"
    shares = {PerDeal.PARTIAL_DEPOSIT: deposit.amount_nano}
    postings.move(deposit=deposit, shares=shares, actor=actor, at=at)
    if escrow.partial_since_at is None or earlier <= DUST_NANO:  # dust begins nobody's day
        escrow.partial_since_at = at
        escrow.save(update_fields=["partial_since_at"])
    if deposit.amount_nano > DUST_NANO:
        missing = escrow.price_nano - received
        publish(
            DepositPartial(deal_id=escrow.reference, received_nano=received, missing_nano=missing),
            key=f"deposit-partial:{deposit.pk}",
            at=at,
        )
    return "below the price"


def _fund(
    escrow: Escrow, deposit: Deposit, earlier_nano: int, actor: Actor, at: dt.datetime
) -> None:
    """Fund the escrow with a deposit and what had come before it; the rest goes back."""
    received = earlier_nano + deposit.amount_nano
    funded = min(received, escrow.price_nano)
    excess = received - funded
    shares = _shares(funded, excess)
    if earlier_nano:
        below = {PerDeal.PARTIAL_DEPOSIT: deposit.amount_nano}
        postings.move(deposit=deposit, shares=below, actor=actor, at=at)
        postings.promote(escrow=escrow, shares=shares, actor=actor, at=at)
    else:
        postings.move(deposit=deposit, shares=shares, actor=actor, at=at)
    escrow.state, escrow.ended_at, escrow.partial_since_at = Escrow.State.FUNDED, None, None
    escrow.funded_nano, escrow.funded_at = funded, at
    escrow.save(update_fields=["state", "ended_at", "partial_since_at", "funded_nano", "funded_at"])
    publish(
        DepositConfirmed(deal_id=escrow.reference, amount_nano=funded),
        key=f"deposit-confirmed:{deposit.pk}",
        at=at,
    )
    if excess:
        _give_back_excess(escrow, deposit, excess, actor, at)


def _shares(funded_nano: int, excess_nano: int) -> dict[PerDeal, int]:
    shares = {PerDeal.ESCROW: funded_nano, PerDeal.OVERPAYMENT: excess_nano}
    return {kind: nano for kind, nano in shares.items() if nano}


def _is_in_time(escrow: Escrow, deposit: Deposit) -> bool:
    """Whether a deal that expired unpaid had been paid before its deadline, by the chain's time."""
    chain_at = deposit.chain_transaction.chain_at
    assert chain_at is not None  # by the table's CHECK
    return (
        escrow.state == Escrow.State.EXPIRED
        and chain_at < escrow.payment_deadline_at
        and deposit.amount_nano >= least_funding(escrow.price_nano)
        and not Settlement.objects.filter(reference=escrow.reference).exists()
    )


def _give_back_excess(
    escrow: Escrow, deposit: Deposit, nano: int, actor: Actor, at: dt.datetime
) -> None:
    if nano <= DUST_NANO:
        postings.write_off_dust_of(
            deposit=deposit, kind=PerDeal.OVERPAYMENT, amount_nano=nano, actor=actor, at=at
        )
        return
    needs_operator = nano > escrow.price_nano * AUTOMATIC_EXCESS_BP // 10_000
    settlements.owe_refund(
        escrow=escrow,
        kind=Settlement.Kind.OVERPAYMENT_REFUND,
        deposit=deposit,
        amount_nano=nano,
        held_for="an operator's word: far more than the price" if needs_operator else "",
        at=at,
    )
    publish(
        DepositOverpaid(deal_id=escrow.reference, excess_nano=nano, needs_operator=needs_operator),
        key=f"deposit-overpaid:{deposit.pk}",
        at=at,
    )


def _give_back_late(escrow: Escrow, deposit: Deposit, actor: Actor, at: dt.datetime) -> None:
    nano = deposit.amount_nano
    postings.move(deposit=deposit, shares={PerDeal.LATE_DEPOSIT: nano}, actor=actor, at=at)
    if nano <= DUST_NANO:
        postings.write_off_dust_of(
            deposit=deposit, kind=PerDeal.LATE_DEPOSIT, amount_nano=nano, actor=actor, at=at
        )
        return
    settlements.owe_refund(
        escrow=escrow,
        kind=Settlement.Kind.LATE_DEPOSIT_REFUND,
        deposit=deposit,
        amount_nano=nano,
        at=at,
    )
    publish(
        DepositLate(deal_id=escrow.reference, amount_nano=nano),
        key=f"deposit-late:{deposit.pk}",
        at=at,
    )
