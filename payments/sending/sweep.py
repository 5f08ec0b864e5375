"""The commission of deals that are over, brought from their wallets to the treasury."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from django.db import connection

from advertmarket.db import requires_transaction
from payments.books.chart import DEBTS, PerDeal
from payments.books.ledger import balance
from payments.escrows import lock_escrow
from payments.models import Settlement, Wallet
from payments.thresholds import DUST_NANO
from payments.wallets import TREASURY

from . import settlements

_SWEEPABLE = """
SELECT escrow.reference FROM escrows escrow
  JOIN account_balances commission ON commission.code = 'COMMISSION:' || escrow.reference
 WHERE commission.balance_nano > %s
   AND NOT EXISTS (SELECT FROM settlements open WHERE open.reference = escrow.reference
                      AND open.state NOT IN ('CONFIRMED', 'CANCELLED'))
 ORDER BY escrow.ended_at
"""


def sweepable() -> list[UUID]:
    """Return the deals whose commission is worth bringing in and who owe nothing else."""
    with connection.cursor() as cursor:
        cursor.execute(_SWEEPABLE, [DUST_NANO])
        return [reference for (reference,) in cursor.fetchall()]


@requires_transaction
def owe_sweep(*, reference: UUID, at: dt.datetime) -> None:
    """Owe a deal's commission to the treasury, unless the deal owes something by now."""
    escrow = lock_escrow(reference)
    nano = balance(PerDeal.COMMISSION.of(reference))
    others = Settlement.objects.filter(reference=reference).open()
    owes = any(balance(kind.of(reference)) for kind in DEBTS)
    if nano <= DUST_NANO or owes or others.exists():
        return
    settlements.owe(
        kind=Settlement.Kind.COMMISSION_SWEEP,
        reference=reference,
        wallet=escrow.wallet,
        destination=Wallet.objects.values_list("address", flat=True).get(subwallet=TREASURY),
        amount_nano=nano,
        at=at,
    )
