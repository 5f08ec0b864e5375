"""TON Center's HTTP API v2: for where v3 is not to be had.

A node without an index: it knows accounts as of a block, and the history of each by its links.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .api import SearchUnfinished, TonApi, TonUnavailable, validated
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

MOST_SEARCHED = 1_000
"""How much of a recipient's history one look sees: some three seconds of the payouts' rate."""

_MOST_SEARCHES = 1_000
"""How many searches are remembered: more than there are transfers on their way."""


@dataclass(frozen=True)
class _Search:
    """How far an account's history, as of when it was asked for, is looked through.

    Up to `done_lt` all of it is; from the newest back to `link` (lt and hash of the next) as well.
    """

    account: AddressInformation
    link: tuple[int, str]
    done_lt: int

    @property
    def is_over(self) -> bool:
        """Whether all of it is looked through."""
        return self.link[0] <= self.done_lt


class TonClientV2(TonApi):
    """The same questions as v3's, answered without an index."""

    _path = "/api/v2/"
    _broadcast = "sendBocReturnHash"

    def __init__(self, *, for_payouts: bool = False, hurried: bool = False) -> None:
        super().__init__(for_payouts=for_payouts, hurried=hurried)
        self._searches: dict[str, _Search] = {}

    def head(self) -> Block:
        """Return the last masterchain block of the node that answers; the next may be behind."""
        last = self._read(MasterchainInfo, "getMasterchainInfo").last
        header = self._read(BlockHeader, "getBlockHeader", last.model_dump())
        return validated(Block, {"seqno": last.seqno, **header.model_dump()})

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
        self,
        address: str,
        account: AddressInformation,
        *,
        after_lt: int,
        link: tuple[int, str] | None = None,
    ) -> Iterator[ChainTransaction]:
        """Yield the chain transactions that led to an account's state, back to `after_lt`.

        `link` (lt and hash) is the one to begin with, if not the newest.
        Each is the one that the next one, or the state, links to: none can be missing. v2 does not
        tell their blocks: the state's is given, which is never too early. The newest one shows the
        state's balance, the others none.

        Raises:
            TonUnavailable: the history cannot be had, or its links do not fit.
        """
        newest = account.last_transaction_id
        lt, tx_hash = link or (newest.lt, newest.hash)
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
                yield tx.with_balance(account.balance) if lt == newest.lt else tx
                lt, tx_hash = tx.prev_trans_lt, tx.prev_trans_hash
                if lt <= after_lt:
                    return

    def received(self, msg_hash: str, *, by: str, after_lt: int) -> ChainTransaction | None:
        """Look through what happened to the recipient since, from where the last look stopped.

        Raises:
            SearchUnfinished: there is more of it than one look sees.
            TonUnavailable: the history cannot be had.
        """
        search = self._searches.get(msg_hash)
        if search is None or search.is_over:
            search = self._search(by, after_lt if search is None else _newest_lt(search))
        link = search.link
        history = self.history(by, search.account, after_lt=search.done_lt, link=link)
        for searched, tx in enumerate(history, start=1):
            if tx.in_msg is not None and tx.in_msg.hash == msg_hash:
                self._searches.pop(msg_hash, None)
                return tx
            link = tx.prev_trans_lt, tx.prev_trans_hash
            if searched == MOST_SEARCHED:
                break
        search = replace(search, link=link)
        self._remember(msg_hash, search)
        if search.is_over:
            return None
        raise SearchUnfinished(reason=f"{by} received over {MOST_SEARCHED} messages since")

    def _search(self, address: str, done_lt: int) -> _Search:
        account = self._read(AddressInformation, "getAddressInformation", {"address": address})
        newest = account.last_transaction_id
        return _Search(account, (newest.lt, newest.hash), done_lt)

    def _remember(self, msg_hash: str, search: _Search) -> None:
        if msg_hash not in self._searches and len(self._searches) >= _MOST_SEARCHES:
            del self._searches[next(iter(self._searches))]
        self._searches[msg_hash] = search

    def wallet_state(self, address: str) -> WalletState:
        """Return the wallet as the node that answers knows it."""
        shown = self._read(WalletInformation, "getWalletInformation", {"address": address})
        return WalletState(
            balance=shown.balance,
            seqno=shown.seqno,
            status=shown.account_state,
            last_transaction_lt=shown.last_transaction_id.lt,
        )

    def wallet_states(self, addresses: Sequence[str]) -> dict[str, WalletState]:
        """Ask about one after the other."""
        return {address: self.wallet_state(address) for address in addresses}

    def is_active(self, address: str) -> bool:
        """Return whether the node that answers knows a contract there."""
        account = self._read(AddressInformation, "getAddressInformation", {"address": address})
        return account.state == "active"

    def _result(self, answer: Any) -> Any:
        return validated(Envelope, answer).result


def _newest_lt(search: _Search) -> int:
    """Return up to where all is looked through once a search is over; a node may lag."""
    return max(search.done_lt, search.account.last_transaction_id.lt)
