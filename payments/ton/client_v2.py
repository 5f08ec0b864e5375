"""TON Center's HTTP API v2: for where v3 is not to be had.

A node without an index: it knows accounts as of a block, and the history of each by its links.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .api import TonApi, TonUnavailable, validated
from .chain_transaction import read_chain_transaction
from .schema import Block, ChainTransaction, WalletState
from .schema_v2 import (
    AddressInformation,
    BlockHeader,
    Envelope,
    MasterchainInfo,
    RawTransactions,
    WalletInformation,
)

PAGE = 100
"""The most chain transactions that one answer may hold."""

MOST_SEARCHED = 5_000
"""How far back a recipient's history is searched: some twenty seconds of the payouts' rate."""


class TonClientV2(TonApi):
    """The same questions as v3's, answered without an index."""

    _path = "/api/v2/"
    _broadcast = "sendBocReturnHash"

    def head(self) -> Block:
        """Return the last masterchain block of the node that answers; the next may be behind."""
        last = self._read(MasterchainInfo, "getMasterchainInfo").last
        header = self._read(BlockHeader, "getBlockHeader", last.model_dump())
        return validated(Block, {"seqno": last.seqno, "gen_utime": header.gen_utime})

    def account_at(self, address: str, *, seqno: int) -> AddressInformation:
        """Return a raw address' account at the end of masterchain block `seqno`.

        Raises:
            TonUnavailable: no node that has that block answered.
        """
        asked = {"address": address, "seqno": seqno}
        account = self._read(AddressInformation, "getAddressInformation", asked)
        if account.seqno != seqno:
            raise TonUnavailable(reason=f"block {seqno} was asked for, {account.seqno} answered")
        return account

    def history(
        self, address: str, account: AddressInformation, *, after_lt: int
    ) -> Iterator[ChainTransaction]:
        """Yield the chain transactions that led to an account's state, back to `after_lt`.

        Each is the one that the next one, or the state, links to: none can be missing. v2 does not
        tell their blocks: the state's is given, which is never too early. The newest one shows the
        state's balance, the others none.

        Raises:
            TonUnavailable: the history cannot be had, or its links do not fit.
        """
        link = account.last_transaction_id
        lt, tx_hash = link.lt, link.hash
        while lt > after_lt:
            page = self._read(
                RawTransactions,
                "getTransactions",
                {
                    "address": address,
                    "lt": lt,
                    "hash": tx_hash,
                    "to_lt": after_lt,
                    "limit": PAGE,
                    "archival": "true",
                },
            ).root
            if not page:
                raise TonUnavailable(reason=f"the history of {address} is incomplete")
            for shown in page:
                tx = read_chain_transaction(
                    shown.data, account=address, lt=lt, tx_hash=tx_hash, seqno=account.seqno
                )
                yield tx.with_balance(account.balance) if lt == link.lt else tx
                lt, tx_hash = tx.prev_trans_lt, tx.prev_trans_hash
                if lt <= after_lt:
                    return

    def received(self, msg_hash: str, *, by: str, after_lt: int) -> ChainTransaction | None:
        """Look through what happened to the recipient since.

        Raises:
            TonUnavailable: so much that the message cannot be found.
        """
        account = self._read(AddressInformation, "getAddressInformation", {"address": by})
        for searched, tx in enumerate(self.history(by, account, after_lt=after_lt)):
            if tx.in_msg is not None and tx.in_msg.hash == msg_hash:
                return tx
            if searched == MOST_SEARCHED:
                raise TonUnavailable(reason=f"{by} received over {MOST_SEARCHED} messages since")
        return None

    def wallet_state(self, address: str) -> WalletState:
        """Return the wallet as the node that answers knows it."""
        shown = self._read(WalletInformation, "getWalletInformation", {"address": address})
        return WalletState(
            balance=shown.balance,
            seqno=shown.seqno,
            status=shown.account_state,
            last_transaction_lt=shown.last_transaction_id.lt,
        )

    def is_active(self, address: str) -> bool:
        """Return whether the node that answers knows a contract there."""
        account = self._read(AddressInformation, "getAddressInformation", {"address": address})
        return account.state == "active"

    def _result(self, answer: Any) -> Any:
        return validated(Envelope, answer).result
