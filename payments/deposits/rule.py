"""What becomes of a deposit once it is confirmed: the rule, applied under the escrow's lock.

What came for a deal is never forgotten and never waits for a decision without somebody who is told.
"""

from __future__ import annotations

import datetime as dt

from advertmarket.db import requires_transaction
from advertmarket.metrics import observe
from payments.escrows import lock_escrow_of
from payments.metrics import DEPOSIT_DELAY_S
from payments.models import ChainCursor, Deposit, Escrow
from payments.thresholds import DUST_NANO, REVIEW_ABOVE_NANO

from . import review
from .allocation import allocate
from .postings import ACTOR

_BATCH = 100


def ready_deposits() -> list[int]:
    """Return the deposits that have their confirmations and await their rule, oldest first."""
    cursor = ChainCursor.objects.first()
    if cursor is None:
        return []
    ready = Deposit.objects.filter(
        state=Deposit.State.CONFIRMING, confirmed_at_seqno__lte=cursor.head_seqno
    )
    return list(ready.order_by("pk").values_list("pk", flat=True)[:_BATCH])


@requires_transaction
def apply_rule(*, deposit_id: int, at: dt.datetime) -> None:
    """Do with a confirmed deposit what the table of money says, or ask an operator.

    A deposit that still confirms, was decided before, or is not there (an event may outlive a
    database restored from a backup) is left as it is.
    """
    escrow = lock_escrow_of(deposit_id)
    if escrow is None:
        return
    deposit = Deposit.objects.get(pk=deposit_id)
    cursor = ChainCursor.objects.get()
    if deposit.state != Deposit.State.CONFIRMING or deposit.confirmed_at_seqno > cursor.head_seqno:
        return
    if _is_large(escrow, deposit):
        review.ask(deposit=deposit, at=at)
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


def _is_large(escrow: Escrow, deposit: Deposit) -> bool:
    """The deal's sum decides; a stranger's dust on a large deal keeps no operator busy."""
    received = sum(escrow.deposits.values_list("amount_nano", flat=True))
    return deposit.amount_nano > DUST_NANO and received > REVIEW_ABOVE_NANO
