"""What becomes of a deposit once it is confirmed: the rule, applied under the escrow's lock.

What came for a deal is never forgotten and never waits for a decision without somebody who is told.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.messaging.outbox import publish
from advertmarket.metrics import count, observe
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, PerDeal
from payments.books.ledger import Line
from payments.escrows import lock_escrow
from payments.events import (
    DepositConfirmed,
    DepositLate,
    DepositNeedsReview,
    DepositOverpaid,
    DepositPartial,
    DepositRejected,
)
from payments.metrics import DEPOSIT_DELAY_S, DEPOSITS
from payments.models import ChainCursor, Deposit, Escrow, Journal, Settlement, TonTransaction
from payments.sending import settlements
from payments.thresholds import AUTOMATIC_EXCESS_BP, DUST_NANO, REVIEW_ABOVE_NANO, least_funding

ACTOR = Actor.system("deposit-watcher")
PARTIAL_FOR = dt.timedelta(hours=24)
REVIEW_REMINDERS = (dt.timedelta(hours=2), dt.timedelta(hours=4))
"""How long after a large deposit began to wait an operator is reminded, and others are told."""

_UNDECIDED = (Deposit.State.CONFIRMING, Deposit.State.REVIEW)
_BATCH = 100


class NotInReview(DomainError):
    """The deposit does not wait for an operator, or not for this."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("This deposit does not wait for that.")


def ready_deposits() -> list[int]:
    """Return the deposits that have their confirmations and await their rule, oldest first."""
    cursor = ChainCursor.objects.first()
    if cursor is None:
        return []
    ready = Deposit.objects.filter(
        state=Deposit.State.CONFIRMING, confirmed_at_seqno__lte=cursor.head_seqno
    )
    return list(ready.order_by("pk").values_list("pk", flat=True)[:_BATCH])


def _lock_escrow_of(deposit_id: int) -> Escrow | None:
    deposit = Deposit.objects.only("escrow_id").filter(pk=deposit_id).first()
    return lock_escrow(deposit.escrow_id) if deposit else None


@requires_transaction
def apply_rule(*, deposit_id: int, at: dt.datetime) -> None:
    """Do with a confirmed deposit what the table of money says, or ask an operator.

    A deposit that still confirms, was decided before, or is not there (an event may outlive a
    database restored from a backup) is left as it is.
    """
    escrow = _lock_escrow_of(deposit_id)
    if escrow is None:
        return
    deposit = Deposit.objects.get(pk=deposit_id)
    cursor = ChainCursor.objects.get()
    if deposit.state != Deposit.State.CONFIRMING or deposit.confirmed_at_seqno > cursor.head_seqno:
        return
    if _is_large(escrow, deposit):
        _ask(deposit, at)
    else:
        allocate(escrow=escrow, deposit=deposit, actor=ACTOR, at=at)
    observe(DEPOSIT_DELAY_S, at - final_at(deposit, cursor))


def final_at(deposit: Deposit, cursor: ChainCursor) -> dt.datetime:
    """Return about when the block was made that confirmed a deposit.

    No block's time is kept but the cursor's: between that one and the block of the deposit they
    are taken to be evenly spaced. The cursor at or before that block tells nothing of the spacing:
    then it is the block of the deposit itself, and the deposit seems later than it is.
    """
    row = deposit.chain_transaction
    assert row.chain_at is not None  # by the table's CHECK
    assert row.mc_seqno is not None
    blocks = cursor.seqno - row.mc_seqno
    if blocks <= 0:
        return row.chain_at
    needed = deposit.confirmed_at_seqno - row.mc_seqno
    return row.chain_at + (cursor.block_at - row.chain_at) * needed / blocks


@requires_transaction
def allocate(*, escrow: Escrow, deposit: Deposit, actor: Actor, at: dt.datetime) -> None:
    """Give a deposit of a locked escrow to the account where it belongs."""
    if escrow.state == Escrow.State.AWAITING:
        rule = _toward_price(escrow, deposit, actor, at)
    elif escrow.state == Escrow.State.FUNDED:
        _move(deposit, {PerDeal.OVERPAYMENT: deposit.amount_nano}, actor, at)
        _give_back_excess(escrow, deposit, deposit.amount_nano, actor, at)
        rule = "above the price of a funded deal"
    elif _is_in_time(escrow, deposit):
        _fund(escrow, deposit, 0, actor, at)
        rule = "in time for a deal that had expired: funds it"
    else:
        _give_back_late(escrow, deposit, actor, at)
        rule = f"after the end of the deal ({escrow.state})"
    _decide(deposit, rule, at)


@requires_transaction
def lock_in_review(*, deposit_id: int, amount_nano: int) -> tuple[Escrow, Deposit]:
    """Return a deposit of `amount_nano` (nanoTON) that waits for an operator, its escrow locked.

    Raises:
        NotInReview: it does not wait, or brought something else.
    """
    escrow = _lock_escrow_of(deposit_id)
    deposit = Deposit.objects.filter(
        pk=deposit_id, amount_nano=amount_nano, state=Deposit.State.REVIEW
    ).first()
    if escrow is None or deposit is None:
        raise NotInReview
    return escrow, deposit


@requires_transaction
def reject(*, escrow: Escrow, deposit: Deposit, actor: Actor, at: dt.datetime) -> None:
    """Owe a deposit that would fund its locked escrow back, and all before it: the deal is over.

    Raises:
        NotInReview: it would fund nothing (allocated, it goes back).
    """
    if escrow.state == Escrow.State.EXPIRED:
        escrow.state = Escrow.State.CLOSED  # what came for it was in time, and is late from now on
        escrow.save(update_fields=["state"])
        allocate(escrow=escrow, deposit=deposit, actor=actor, at=at)
        return
    if escrow.state != Escrow.State.AWAITING:
        raise NotInReview
    _move(deposit, {PerDeal.REFUND_PENDING: deposit.amount_nano}, actor, at)
    _decide(deposit, "rejected by an operator", at)
    settlements.owe_refund(escrow=escrow, amount_nano=deposit.amount_nano, at=at)
    escrow.state, escrow.ended_at = Escrow.State.CLOSED, at
    return_partial(escrow=escrow, actor=actor, at=at)
    escrow.save(update_fields=["state", "ended_at", "partial_since_at"])
    publish(
        DepositRejected(
            deal_id=escrow.reference, deposit_id=deposit.pk, amount_nano=deposit.amount_nano
        ),
        key=f"deposit-rejected:{deposit.pk}",
        at=at,
    )


@requires_transaction
def pays_the_price(escrow: Escrow) -> bool:
    """Return whether what has come, decided or not, would fund a locked escrow that awaits it."""
    return received_nano(escrow) >= least_funding(escrow.price_nano)


def received_nano(escrow: Escrow) -> int:
    """Return what counts toward the price: what funded it, or what has come so far; in nanoTON."""
    undecided = escrow.deposits.filter(state__in=_UNDECIDED).values_list("amount_nano", flat=True)
    return (escrow.funded_nano or 0) + _partial_nano(escrow) + sum(undecided)


def given_back_nano(escrow: Escrow) -> int:
    """Return what the end of an escrow owes its advertiser, received by now or not; in nanoTON."""
    if escrow.ended_at is None:
        return 0
    refunds = Settlement.objects.filter(
        reference=escrow.reference,
        kind__in=[Settlement.Kind.REFUND, Settlement.Kind.PARTIAL_DEPOSIT_REFUND],
        created_at__gte=escrow.ended_at,
    ).exclude(state=Settlement.State.CANCELLED)
    return _partial_nano(escrow) + sum(refunds.values_list("amount_nano", flat=True))


def _partial_nano(escrow: Escrow) -> int:
    """Return what lies in an escrow's PARTIAL_DEPOSIT and does not go back; in nanoTON."""
    held = ledger.balance(PerDeal.PARTIAL_DEPOSIT.of(escrow.reference))
    # what has landed is in the account no more
    returning = _returning(escrow).exclude(chain_transactions__state=TonTransaction.State.LANDED)
    return held - sum(returning.values_list("amount_nano", flat=True))


def _returning(escrow: Escrow) -> QuerySet[Settlement]:
    return Settlement.objects.open().filter(
        reference=escrow.reference, kind=Settlement.Kind.PARTIAL_DEPOSIT_REFUND
    )


def stale_partials(*, at: dt.datetime) -> list[Escrow]:
    """Return the escrows whose partial deposit has waited its day for the rest, or has no rest."""
    since = at - PARTIAL_FOR * settings.DEADLINE_SCALE
    stale = Escrow.objects.filter(
        Q(partial_since_at__lte=since)
        | Q(partial_since_at__isnull=False) & ~Q(state=Escrow.State.AWAITING)
    )
    return list(stale.order_by("partial_since_at")[:_BATCH])


@requires_transaction
def return_stale_partial(*, escrow: Escrow, at: dt.datetime) -> None:
    """Give a partial deposit back after its day, unless the rest has come meanwhile."""
    locked = lock_escrow(escrow.reference)
    is_same = locked.partial_since_at == escrow.partial_since_at
    waits = locked.state == Escrow.State.AWAITING and pays_the_price(locked)
    if is_same and not waits:
        return_partial(escrow=locked, actor=ACTOR, at=at)
        locked.save(update_fields=["partial_since_at"])


@requires_transaction
def return_partial(*, escrow: Escrow, actor: Actor, at: dt.datetime) -> None:
    """Owe what lies in a locked escrow's PARTIAL_DEPOSIT back; dust is written off.

    What came while an earlier part goes back waits until that has arrived.
    """
    escrow.partial_since_at = None
    nano = _partial_nano(escrow)
    if not nano:
        return
    if _returning(escrow).exists():
        escrow.partial_since_at = at
        return
    if nano <= DUST_NANO:
        allocated = escrow.deposits.filter(state=Deposit.State.ALLOCATED)
        last = allocated.order_by("decided_at", "pk").values_list("pk", flat=True).last()
        account = PerDeal.PARTIAL_DEPOSIT.of(escrow.reference)
        _write_off(Line(account, DUST_WRITEOFF, nano), f"{account}:{last}", actor, at)
        return
    kind = Settlement.Kind.PARTIAL_DEPOSIT_REFUND
    settlements.owe_refund(escrow=escrow, kind=kind, amount_nano=nano, at=at)


@requires_transaction
def remind_of_reviews(*, at: dt.datetime) -> None:
    """Tell operators again of large deposits that have waited too long for their word."""
    waiting = Deposit.objects.select_for_update(skip_locked=True, no_key=True).filter(
        state=Deposit.State.REVIEW,
        reminders__lt=len(REVIEW_REMINDERS),
        decided_at__lte=at - REVIEW_REMINDERS[0],
    )
    for deposit in waiting.order_by("decided_at")[:_BATCH]:
        assert deposit.decided_at is not None  # by the table's CHECK
        due = sum(deposit.decided_at + after <= at for after in REVIEW_REMINDERS)
        if due > deposit.reminders:
            deposit.reminders = due
            deposit.save(update_fields=["reminders"])
            _tell_review(deposit, at)


def _is_large(escrow: Escrow, deposit: Deposit) -> bool:
    """The deal's sum decides; a stranger's dust on a large deal keeps no operator busy."""
    received = sum(escrow.deposits.values_list("amount_nano", flat=True))
    return deposit.amount_nano > DUST_NANO and received > REVIEW_ABOVE_NANO


def _ask(deposit: Deposit, at: dt.datetime) -> None:
    deposit.state, deposit.decided_at = Deposit.State.REVIEW, at
    deposit.rule = "a sum that an operator approves"
    deposit.save(update_fields=["state", "rule", "decided_at"])
    count(DEPOSITS, "review")
    _tell_review(deposit, at)


def _tell_review(deposit: Deposit, at: dt.datetime) -> None:
    publish(
        DepositNeedsReview(
            deal_id=deposit.escrow_id,
            deposit_id=deposit.pk,
            amount_nano=deposit.amount_nano,
            reason=deposit.rule,
            reminder=deposit.reminders,
        ),
        key=f"deposit-review:{deposit.pk}:{deposit.reminders}",
        at=at,
    )


def _decide(deposit: Deposit, rule: str, at: dt.datetime) -> None:
    deposit.state, deposit.rule, deposit.decided_at = Deposit.State.ALLOCATED, rule, at
    deposit.save(update_fields=["state", "rule", "decided_at"])
    count(DEPOSITS, "allocated")


def _toward_price(escrow: Escrow, deposit: Deposit, actor: Actor, at: dt.datetime) -> str:
    earlier = _partial_nano(escrow)
    received = earlier + deposit.amount_nano
    if received >= least_funding(escrow.price_nano):
        _fund(escrow, deposit, earlier, actor, at)
        return "funds the deal"
    _move(deposit, {PerDeal.PARTIAL_DEPOSIT: deposit.amount_nano}, actor, at)
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
    if earlier_nano:
        _move(deposit, {PerDeal.PARTIAL_DEPOSIT: deposit.amount_nano}, actor, at)
        ledger.post(
            kind=Journal.Kind.PARTIAL_PROMOTE,
            key=f"promote:{escrow.reference}",
            lines=_lines(escrow, PerDeal.PARTIAL_DEPOSIT, _shares(funded, excess)),
            actor=actor,
            at=at,
        )
    else:
        _move(deposit, _shares(funded, excess), actor, at)
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
        _write_off_of(escrow, deposit, PerDeal.OVERPAYMENT, nano, actor, at)
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
    _move(deposit, {PerDeal.LATE_DEPOSIT: nano}, actor, at)
    if nano <= DUST_NANO:
        _write_off_of(escrow, deposit, PerDeal.LATE_DEPOSIT, nano, actor, at)
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


def _move(deposit: Deposit, shares: dict[PerDeal, int], actor: Actor, at: dt.datetime) -> None:
    row = deposit.chain_transaction
    ledger.post(
        kind=Journal.Kind.ALLOCATED,
        key=f"allocate:{row.wallet.address}:{row.lt}",
        lines=_lines(deposit.escrow, PerDeal.DEPOSIT_PENDING, shares),
        actor=actor,
        at=at,
    )


def _lines(escrow: Escrow, source: PerDeal, shares: dict[PerDeal, int]) -> list[Line]:
    reference = escrow.reference
    return [Line(source.of(reference), to.of(reference), nano) for to, nano in shares.items()]


def _write_off_of(
    escrow: Escrow,
    deposit: Deposit,
    kind: PerDeal,
    nano: int,
    actor: Actor,
    at: dt.datetime,
) -> None:
    row = deposit.chain_transaction
    line = Line(kind.of(escrow.reference), DUST_WRITEOFF, nano)
    _write_off(line, f"{row.wallet.address}:{row.lt}", actor, at)


def _write_off(line: Line, what: str, actor: Actor, at: dt.datetime) -> None:
    ledger.post(
        kind=Journal.Kind.DUST_WRITEOFF, key=f"writeoff:{what}", lines=[line], actor=actor, at=at
    )
