"""What becomes of a deposit once it is confirmed: the rule, applied under the escrow's lock."""

from __future__ import annotations

import datetime as dt

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.messaging.outbox import publish

from . import ledger
from .chart import PerDeal
from .events import DepositConfirmed
from .ledger import Line
from .models import ChainCursor, Deposit, Escrow, Journal
from .tiers import REVIEW_ABOVE_NANO, least_funding

ACTOR = Actor.system("deposit-watcher")


def ready_deposits() -> list[int]:
    """Return the deposits that have their confirmations and await their rule, oldest first."""
    cursor = ChainCursor.objects.first()
    if cursor is None:
        return []
    ready = Deposit.objects.filter(
        state=Deposit.State.CONFIRMING, confirmed_at_seqno__lte=cursor.seqno
    )
    return list(ready.order_by("pk").values_list("pk", flat=True)[:100])


@requires_transaction
def apply_rule(*, deposit_id: int, at: dt.datetime) -> None:
    """Fund the escrow with a confirmed deposit, or set it aside for an operator.

    A deposit that still confirms, was decided before, or is not there (an event may outlive a
    database restored from a backup) is left as it is. Money set aside stays in DEPOSIT_PENDING.
    """
    escrow = (
        Escrow.objects.select_for_update(no_key=True, of=("self",))
        .filter(deposits__chain_transaction_id=deposit_id)
        .first()
    )
    if escrow is None:
        return
    deposit = Deposit.objects.get(pk=deposit_id)
    cursor = ChainCursor.objects.get()
    if deposit.state != Deposit.State.CONFIRMING or deposit.confirmed_at_seqno > cursor.seqno:
        return
    if reason := _needs_operator(escrow, deposit):
        deposit.state, deposit.rule = Deposit.State.REVIEW, reason
    else:
        _fund(escrow, deposit, at)
        deposit.state, deposit.rule = Deposit.State.ALLOCATED, "funds the deal"
    deposit.decided_at = at
    deposit.save(update_fields=["state", "rule", "decided_at"])


def _needs_operator(escrow: Escrow, deposit: Deposit) -> str:
    if escrow.state != Escrow.State.AWAITING:
        return f"the escrow is {escrow.state}"
    if deposit.amount_nano > escrow.price_nano:
        return "more than the price"
    if deposit.amount_nano < least_funding(escrow.price_nano):
        return "less than the price"
    if deposit.amount_nano > REVIEW_ABOVE_NANO:
        return "a sum that an operator approves"
    return ""


def _fund(escrow: Escrow, deposit: Deposit, at: dt.datetime) -> None:
    row = deposit.chain_transaction
    ledger.post(
        kind=Journal.Kind.ALLOCATED,
        key=f"allocate:{row.wallet.address}:{row.lt}",
        lines=[
            Line(
                PerDeal.DEPOSIT_PENDING.of(escrow.reference),
                PerDeal.ESCROW.of(escrow.reference),
                deposit.amount_nano,
            )
        ],
        actor=ACTOR,
        at=at,
    )
    escrow.state = Escrow.State.FUNDED
    escrow.funded_nano, escrow.funded_at = deposit.amount_nano, at
    escrow.save(update_fields=["state", "funded_nano", "funded_at"])
    publish(
        DepositConfirmed(deal_id=escrow.reference, amount_nano=deposit.amount_nano),
        key=f"deposit-confirmed:{deposit.pk}",
        at=at,
    )
