"""An indexer that misses what happened to an account, until it is asked about that account."""

from __future__ import annotations

from contextlib import closing

from payments.chain import reader
from payments.models import Wallet
from payments.ton.client import TonClient
from payments.ton.schema import Shown
from tests.payments.bank import Bank


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
