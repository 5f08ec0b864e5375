"""An escrow and its wallet, locked: whoever moves a deal's money holds both until the end."""

from __future__ import annotations

from uuid import UUID

from advertmarket.db import requires_transaction

from .models import Deposit, Escrow, Wallet


@requires_transaction
def lock_escrow(reference: UUID) -> Escrow:
    """Return the escrow of a deal, locked with its wallet until the database transaction ends.

    Until then nothing that leaves or reaches the wallet lands in the books.
    """
    escrow = Escrow.objects.select_for_update(no_key=True).get(reference=reference)
    escrow.wallet = Wallet.objects.select_for_update(no_key=True).get(pk=escrow.wallet_id)
    return escrow


@requires_transaction
def lock_escrow_of(deposit_id: int) -> Escrow | None:
    """Return the escrow that a deposit came for, locked like the others; None: no such deposit."""
    deposit = Deposit.objects.only("escrow_id").filter(pk=deposit_id).first()
    return lock_escrow(deposit.escrow_id) if deposit else None
