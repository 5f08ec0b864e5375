"""An escrow and its wallet, locked: whoever moves a deal's money holds both until the end."""

from __future__ import annotations

from uuid import UUID

from advertmarket.db import requires_transaction

from .models import Escrow, Wallet


@requires_transaction
def lock_escrow(reference: UUID) -> Escrow:
    """Return the escrow of a deal, locked with its wallet until the database transaction ends.

    Until then nothing that leaves or reaches the wallet lands in the books.
    """
    escrow = Escrow.objects.select_for_update(no_key=True).get(reference=reference)
    escrow.wallet = Wallet.objects.select_for_update(no_key=True).get(pk=escrow.wallet_id)
    return escrow
