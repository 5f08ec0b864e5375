"""Partial deposits: what came below a deal's price, how long it waits, and how it goes back."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import Q, QuerySet

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.escrows import lock_escrow
from payments.models import Deposit, Escrow, Settlement, TonTransaction
from payments.sending import settlements
from payments.thresholds import DUST_NANO, least_funding

from .postings import ACTOR, write_off

PARTIAL_FOR = dt.timedelta(hours=24)

_UNDECIDED = (Deposit.State.CONFIRMING, Deposit.State.REVIEW)
_BATCH = 100


@requires_transaction
def pays_the_price(escrow: Escrow) -> bool:
    """Return whether what has come, decided or not, would fund a locked escrow that awaits it."""
    return received_nano(escrow) >= least_funding(escrow.price_nano)


def received_nano(escrow: Escrow) -> int:
    """Return what counts toward the price: what funded it, or what has come so far; in nanoTON."""
    undecided = escrow.deposits.filter(state__in=_UNDECIDED).values_list("amount_nano", flat=True)
    return (escrow.funded_nano or 0) + partial_nano(escrow) + sum(undecided)


def given_back_nano(escrow: Escrow) -> int:
    """Return what the end of an escrow owes its advertiser, received by now or not; in nanoTON."""
    if escrow.ended_at is None:
        return 0
    refunds = Settlement.objects.filter(
        reference=escrow.reference,
        kind__in=[Settlement.Kind.REFUND, Settlement.Kind.PARTIAL_DEPOSIT_REFUND],
        created_at__gte=escrow.ended_at,
    ).exclude(state=Settlement.State.CANCELLED)
    return partial_nano(escrow) + sum(refunds.values_list("amount_nano", flat=True))


def partial_nano(escrow: Escrow) -> int:
    """Return what lies in an escrow's PARTIAL_DEPOSIT and does not go back; in nanoTON."""
    held = ledger.balance(PerDeal.PARTIAL_DEPOSIT.of(escrow.reference))
    # what has landed is in the account no more
    returning = _returning(escrow).exclude(chain_transactions__state=TonTransaction.State.LANDED)
    return held - sum(returning.values_list("amount_nano", flat=True))


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
    nano = partial_nano(escrow)
    if not nano:
        return
    if _returning(escrow).exists():
        escrow.partial_since_at = at
        return
    if nano <= DUST_NANO:
        allocated = escrow.deposits.filter(state=Deposit.State.ALLOCATED)
        last = allocated.order_by("decided_at", "pk").values_list("pk", flat=True).last()
        account = PerDeal.PARTIAL_DEPOSIT.of(escrow.reference)
        write_off(account=account, amount_nano=nano, what=f"{account}:{last}", actor=actor, at=at)
        return
    kind = Settlement.Kind.PARTIAL_DEPOSIT_REFUND
    settlements.owe_refund(escrow=escrow, kind=kind, amount_nano=nano, at=at)


def _returning(escrow: Escrow) -> QuerySet[Settlement]:
    return Settlement.objects.open().filter(
        reference=escrow.reference, kind=Settlement.Kind.PARTIAL_DEPOSIT_REFUND
    )
