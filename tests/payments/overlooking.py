"""A node that misses what happened: to an account, until it is asked about that; or a bounce."""

from __future__ import annotations

from contextlib import closing
from typing import Any
from uuid import UUID

import pytest

from payments.chain import reader
from payments.models import Wallet
from payments.ton.client import TonClient
from payments.ton.schema import ChainTransaction, Description, Shown
from tests.payments.bank import Bank
from tests.payments.contracts import deploy_refuser


class _OverlookingClient(TonClient):
    overlooks = ""

    def block_chain_transactions(self, seqno: int) -> list[Shown]:
        found = super().block_chain_transactions(seqno)
        return [shown for shown in found if shown.account != self.overlooks]


def read_but(bank: Bank, wallet: Wallet) -> None:
    """Make a block and book all there are, but for what they hold of this wallet."""
    bank.chain.mine()
    with closing(_OverlookingClient()) as client:
        client.overlooks = wallet.address
        while reader.read_new_blocks(client, at_most=1000):
            pass


def confirmed_although_it_bounces(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> UUID:
    """Return a deal whose payout is on its way back, of which a node said that it had arrived."""
    bank.set_payout_address(address=deploy_refuser(bank))
    reference = bank.funded_escrow()
    bank.release(reference)
    bank.execute()
    bank.read()
    received = bank.api.received

    def without_the_bounce(*args: Any, **rest: Any) -> ChainTransaction | None:
        tx = received(*args, **rest)
        return tx and tx.model_copy(update={"description": Description(aborted=True)})

    with monkeypatch.context() as lying:
        lying.setattr(bank.api, "received", without_the_bounce)
        bank.chain.mine()
        bank.execute()
    return reference
