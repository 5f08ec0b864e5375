"""The chain as one node or indexer knows it: up to some block, and nothing after."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sandbox.ton.accounts import AccountState, ChainTransaction
from sandbox.ton.chain import Block, Chain

Direction = Literal["in", "out"]


class Index:
    """Finds transactions by their own hash and by the hashes of their messages."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._blocks_read = 0
        self._by_hash: dict[bytes, ChainTransaction] = {}
        self._by_message: dict[bytes, list[tuple[Direction, ChainTransaction]]] = defaultdict(list)

    def by_hash(self, transaction_hash: bytes) -> ChainTransaction | None:
        """Return the transaction of this hash."""
        self._read_on()
        return self._by_hash.get(transaction_hash)

    def by_message(
        self, message_hash: bytes, direction: Direction | None = None
    ) -> list[ChainTransaction]:
        """Return the transactions with this message, by its hash or its normalized hash."""
        self._read_on()
        found = self._by_message.get(message_hash, ())
        return [one for way, one in found if direction in (None, way)]

    def _read_on(self) -> None:
        for block in self._chain.blocks[self._blocks_read :]:
            for transaction in block.transactions:
                self._add(transaction)
        self._blocks_read = len(self._chain.blocks)

    def _add(self, transaction: ChainTransaction) -> None:
        self._by_hash[transaction.hash] = transaction
        message = transaction.in_message
        if message is not None:
            hashes = {message.hash}
            if message.is_external:
                hashes.add(message.normalized_hash)
            for message_hash in hashes:
                self._by_message[message_hash].append(("in", transaction))
        for message in transaction.out_messages:
            self._by_message[message.hash].append(("out", transaction))


@dataclass(frozen=True)
class View:
    """Reads of the chain as of the end of block `seqno`."""

    chain: Chain
    index: Index
    seqno: int

    @property
    def head(self) -> Block:
        """The last block it knows."""
        block = self.block(self.seqno)
        assert block is not None
        return block

    @property
    def first(self) -> Block:
        """The first block there is."""
        return self.chain.blocks[0]

    def back(self, blocks: int) -> View:
        """Return the view of a node that is so many blocks behind this one."""
        return View(self.chain, self.index, max(self.first.seqno, self.seqno - blocks))

    def at(self, seqno: int) -> View:
        """Return the view as of an earlier block."""
        return self.back(max(0, self.seqno - seqno))

    def block(self, seqno: int) -> Block | None:
        """Return a masterchain block, None if there is none or it is not known yet."""
        return self.chain.block(seqno) if seqno <= self.seqno else None

    def transactions(self, address: str) -> list[ChainTransaction]:
        """Return an account's transactions, oldest first."""
        history = self.chain.transactions(address)
        return history[: bisect_right(history, self.seqno, key=lambda one: one.mc_seqno)]

    def last_transaction(self, address: str) -> ChainTransaction | None:
        """Return an account's last transaction."""
        known = self.transactions(address)
        return known[-1] if known else None

    def state(self, address: str) -> AccountState:
        """Return an account's state."""
        last = self.last_transaction(address)
        return last.after if last else self.chain.genesis_state(address)

    def all_transactions(self) -> Iterator[ChainTransaction]:
        """Yield every transaction, oldest block first."""
        for block in self.chain.blocks:
            if block.seqno <= self.seqno:
                yield from block.transactions

    def by_hash(self, transaction_hash: bytes) -> ChainTransaction | None:
        """Return the transaction of this hash."""
        found = self.index.by_hash(transaction_hash)
        return found if found and found.mc_seqno <= self.seqno else None

    def by_message(
        self, message_hash: bytes, direction: Direction | None = None
    ) -> list[ChainTransaction]:
        """Return the transactions with this message, by its hash or its normalized hash."""
        found = self.index.by_message(message_hash, direction)
        return [one for one in found if one.mc_seqno <= self.seqno]

    def is_first_of_its_block(self, transaction: ChainTransaction) -> bool:
        """Whether no earlier transaction of the same account is in the same block."""
        history = self.chain.transactions(transaction.address)
        start = bisect_left(history, transaction.mc_seqno, key=lambda one: one.mc_seqno)
        return history[start] is transaction

    def is_last_of_its_block(self, transaction: ChainTransaction) -> bool:
        """Whether no later transaction of the same account is in the same block."""
        history = self.chain.transactions(transaction.address)
        end = bisect_right(history, transaction.mc_seqno, key=lambda one: one.mc_seqno)
        return history[end - 1] is transaction


class Views:
    """What the node knows now, and what the indexer, `lag_s` seconds behind it, knows now."""

    def __init__(self, chain: Chain, *, lag_s: float) -> None:
        self._chain = chain
        self._index = Index(chain)
        self._lag_s = lag_s

    @property
    def node(self) -> View:
        """Up to the last block."""
        return View(self._chain, self._index, self._chain.head.seqno)

    @property
    def indexer(self) -> View:
        """Up to the last block that is at least `lag_s` old; the first block always."""
        node = self.node
        if not self._lag_s:
            return node
        indexed_until = time.monotonic() - self._lag_s
        known = bisect_right(self._chain.blocks, indexed_until, key=lambda block: block.mined_at_s)
        return node.at(self._chain.blocks[max(0, known - 1)].seqno)
