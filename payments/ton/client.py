"""TON Center's HTTP API v3, and which version this process speaks."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, TypeVar

from django.conf import settings

from .api import TonApi, TonUnavailable, validated
from .client_v2 import TonClientV2
from .schema import (
    AccountStates,
    AddressState,
    Block,
    ChainTransaction,
    ChainTransactions,
    Head,
    Page,
    Shown,
    WalletState,
)

__all__ = ["TonClient", "TonUnavailable", "for_payouts", "hurried", "reading"]

P = TypeVar("P", Page, ChainTransactions)

PAGE = 1000
"""The most chain transactions that one answer may hold."""


class TonClient(TonApi):
    """The indexer, which knows each block and each message."""

    _path = "/api/v3/"
    _broadcast = "message"

    def head(self) -> Block:
        """Return the last masterchain block that the indexer has."""
        return self._read(Head, "masterchainInfo").last

    def block_chain_transactions(self, seqno: int) -> list[Shown]:
        """Return every chain transaction that masterchain block `seqno` committed, by lt.

        The list of a block that the indexer has not indexed is empty; a real one holds at least
        the masterchain's own. `whole` reads those that matter.
        """
        return self._pages(Page, "transactionsByMasterchainBlock", {"seqno": seqno})

    def whole(self, shown: Shown) -> ChainTransaction:
        """Return all that we need of a chain transaction.

        Raises:
            TonUnavailable: it makes no sense.
        """
        return validated(ChainTransaction, shown.model_dump(mode="json"))

    def account_chain_transactions(
        self, addresses: Sequence[str], *, after_lt: int
    ) -> list[ChainTransaction]:
        """Return the chain transactions of raw addresses later than `after_lt`, by lt."""
        return self._pages(
            ChainTransactions,
            "transactions",
            {"account": list(addresses), "start_lt": after_lt + 1},
        )

    def received(self, msg_hash: str, *, by: str, after_lt: int) -> ChainTransaction | None:
        """Ask for the message by its hash: there is no other one like it, whatever is answered."""
        found = self._read(
            ChainTransactions,
            "transactionsByMessage",
            {"msg_hash": msg_hash, "direction": "in", "limit": 1},
        ).transactions
        for tx in found:
            if tx.account == by and tx.in_msg is not None and tx.in_msg.hash == msg_hash:
                return tx
        return None

    def wallet_state(self, address: str) -> WalletState:
        """Return the wallet as the indexer knows it."""
        return self._read(WalletState, "walletInformation", {"address": address, "use_v2": "false"})

    def wallet_states(self, addresses: Sequence[str]) -> dict[str, WalletState]:
        """Ask about all of them at once; the indexer leaves out those that it does not know."""
        known = self._read(
            AccountStates,
            "accountStates",
            {"address": list(addresses), "include_boc": "false"},
        ).accounts
        return dict.fromkeys(addresses, WalletState(balance=0)) | {
            account.address: WalletState(
                balance=account.balance,
                status=account.status,
                last_transaction_lt=account.last_transaction_lt,
            )
            for account in known
        }

    def is_active(self, address: str) -> bool:
        """Return whether the indexer knows a contract there."""
        state = self._read(
            AddressState, "addressInformation", {"address": address, "use_v2": "false"}
        )
        return state.status == "active"

    def _pages(self, answer: type[P], method: str, params: dict[str, Any]) -> list[Any]:
        found: list[Any] = []
        while True:
            place = {"limit": PAGE, "offset": len(found), "sort": "asc"}
            page = self._read(answer, method, {**params, **place}).transactions
            found += page
            if len(page) < PAGE:
                return found


@functools.cache
def reading() -> TonClient | TonClientV2:
    """Return this process's client for reading the chain, of the version in the settings."""
    return _version()()


@functools.cache
def for_payouts() -> TonApi:
    """Return this process's client for payouts, of the version in the settings."""
    return _version()(for_payouts=True)


@functools.cache
def hurried() -> TonClient | TonClientV2:
    """Return this process's client for looking whether anybody answers."""
    return _version()(hurried=True)


def _version() -> type[TonClient | TonClientV2]:
    return TonClientV2 if settings.TON_API_VERSION == "v2" else TonClient
