"""The chain: accounts, blocks, mempool, clock.

Everything that changes it is a journal entry, written before it is applied. A block holds, as on
the real network: the ticks of the masterchain's special accounts, the internal messages that the
blocks before sent, the pending external messages (one that is not valid any more is dropped in
silence), the tocks. An internal message arrives in the block after the one that sent it.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pytoniq_core import Cell

from sandbox.ton.accounts import NO_HASH, NOWHERE, AccountState, ChainTransaction, special_account
from sandbox.ton.executor import Executed, Executor, GetResult, NotAccepted
from sandbox.ton.journal import Accepted, ClockSet, Entry, Journal, Mined, Minted, Withdrawn
from sandbox.ton.messages import Message, internal_message, parse_external

GENESIS_SEQNO = 40_000_000
GENESIS_LT = 50_000_000_000_000
SHARD_SEQNO_OFFSET = 5_000_000
"""How far the basechain's block numbers are ahead of the masterchain's."""

LT_PER_BLOCK = 1_000_000

FAUCET = "0:" + "fa" * 32
ELECTOR = "-1:" + "3" * 64
CONFIGURATION = "-1:" + "5" * 64
_SPECIAL_BALANCE_NANO = 10**18


class ClockGoesBack(Exception):
    """A chain's time never goes back."""


@dataclass(frozen=True)
class Block:
    """A masterchain block and the basechain block that it holds."""

    seqno: int
    gen_utime: int
    start_lt: int
    end_lt: int
    transactions: tuple[ChainTransaction, ...]
    previous_root_hash: bytes
    mined_at_s: float
    """On the monotonic clock; 0 when it was replayed."""

    @cached_property
    def root_hash(self) -> bytes:
        """A hash of all it holds."""
        digest = hashlib.sha256(self.previous_root_hash)
        digest.update(f"{self.seqno} {self.gen_utime} {self.end_lt}".encode())
        for transaction in self.transactions:
            digest.update(transaction.hash)
        return digest.digest()

    @cached_property
    def file_hash(self) -> bytes:
        """Stands in for the hash of the block's file."""
        return hashlib.sha256(b"file" + self.root_hash).digest()


@dataclass(frozen=True)
class _Pending:
    message: Message
    boc: bytes
    not_before: int


@dataclass(frozen=True)
class _InFlight:
    message: Message
    lt: int
    trace_id: bytes


class Chain:
    """A chain in memory, which a journal brings back."""

    def __init__(self, executor: Executor, journal: Journal) -> None:
        """Replay the journal; a new chain gets its first block."""
        self._executor = executor
        self._journal = journal
        self._offset_s = 0
        self._frozen_at: int | None = None
        self._history: dict[str, list[ChainTransaction]] = defaultdict(list)
        self._genesis = {
            ELECTOR: special_account(
                ELECTOR, balance_nano=_SPECIAL_BALANCE_NANO, ticks=True, tocks=False
            ),
            CONFIGURATION: special_account(
                CONFIGURATION, balance_nano=_SPECIAL_BALANCE_NANO, ticks=False, tocks=True
            ),
        }
        self._pending: dict[bytes, _Pending] = {}
        self._in_flight: list[_InFlight] = []
        self.blocks: list[Block] = []
        self.minted_nano = 0
        for entry in journal.replay():
            self._apply(entry, mined_at_s=0.0)
        if not self.blocks:
            self.mine()

    # what is

    @property
    def head(self) -> Block:
        """The last block."""
        return self.blocks[-1]

    def now(self) -> int:
        """The chain's clock, Unix time in seconds."""
        if self._frozen_at is not None:
            return self._frozen_at
        return int(time.time()) + self._offset_s

    def block(self, seqno: int) -> Block | None:
        """Return the masterchain block of this number."""
        index = seqno - self.blocks[0].seqno
        return self.blocks[index] if 0 <= index < len(self.blocks) else None

    def transactions(self, address: str) -> list[ChainTransaction]:
        """Return all transactions of a raw address, oldest first; not to be changed."""
        return self._history.get(address, [])

    def state(self, address: str) -> AccountState:
        """Return an account's newest state; one that a block left without any begins anew."""
        history = self._history.get(address)
        if not history:
            return self.genesis_state(address)
        last = history[-1]
        is_gone = last.after.status == "nonexist" and last.mc_seqno <= self.head.seqno
        return self.genesis_state(address) if is_gone else last.after

    def genesis_state(self, address: str) -> AccountState:
        """Return the state of an account before its first transaction."""
        return self._genesis.get(address, NOWHERE)

    @property
    def addresses(self) -> Iterable[str]:
        """The raw addresses of all accounts that have a transaction."""
        return self._history.keys()

    @property
    def in_flight_nano(self) -> int:
        """What was sent and has not arrived yet."""
        return sum(int(sent.message.content.info.value.grams) for sent in self._in_flight)

    def pending(self, address: str | None = None) -> list[Message]:
        """Return the external messages that wait for a block, oldest first."""
        return [
            waiting.message
            for waiting in self._pending.values()
            if address in (None, waiting.message.destination)
        ]

    def try_external(self, boc: bytes, *, check_signature: bool = True) -> ChainTransaction:
        """Execute an external message on its account as of now, and forget it.

        Raises:
            InvalidMessage: not an external message.
            NotAccepted: the account refuses it.
        """
        message = parse_external(boc)
        before = self.state(message.destination)
        executed = self._executor.execute(
            before.boc,
            boc,
            now=self.now(),
            lt=self.head.end_lt + LT_PER_BLOCK,
            check_signature=check_signature,
        )
        return _transaction(message.destination, executed, self.head.seqno + 1, before, b"")

    def run_get_method(
        self, address: str, state: AccountState, *, method_id: int, arguments: list[Any]
    ) -> GetResult:
        """Run a get-method of a contract in one of its states."""
        assert state.code is not None
        assert state.data is not None
        return self._executor.run_get_method(
            code=bytes(state.code.to_boc()),
            data=bytes(state.data.to_boc()),
            address=address,
            balance_nano=state.balance_nano,
            method_id=method_id,
            arguments=arguments,
            now=self.now(),
        )

    @property
    def configuration_boc(self) -> str:
        """The chain's configuration, base64."""
        return self._executor.config_boc

    # what is done to it

    def accept(self, boc: bytes, *, hold_blocks: int = 0) -> Message:
        """Check an external message as a node does, and let it wait for a block.

        The same message twice waits once. `hold_blocks` keeps it out of that many blocks.

        Raises:
            InvalidMessage: not an external message.
            NotAccepted: the account refuses it in its present state.
        """
        message = parse_external(boc)
        self.try_external(boc)
        if message.hash not in self._pending:
            self._commit(Accepted(boc, self.head.seqno + 1 + hold_blocks))
        return message

    def withdraw(self, message: Message) -> None:
        """Take an external message out of the mempool; nothing happens if it does not wait."""
        if message.hash in self._pending:
            self._commit(Withdrawn(message.hash.hex()))

    def mint(
        self,
        address: str,
        value_nano: int,
        *,
        source: str = FAUCET,
        body: Any = None,
        bounce: bool = False,
    ) -> None:
        """Let `source` send `value_nano` out of nothing; it arrives in the next block."""
        boc = internal_message(
            source=source,
            destination=address,
            value_nano=value_nano,
            body=Cell.empty() if body is None else body,
            bounce=bounce,
            lt=self.head.end_lt + len(self._in_flight) + 1,
            now=self.now(),
        )
        self._commit(Minted(boc))

    def set_clock(self, *, advance_s: int = 0, frozen: bool | None = None) -> None:
        """Move the clock forward; stop it, or let it run on from where it stands.

        Raises:
            ClockGoesBack: `advance_s` is negative.
        """
        if advance_s < 0:
            raise ClockGoesBack(f"cannot advance by {advance_s} s")
        now = self.now() + advance_s
        if frozen is None:
            frozen = self._frozen_at is not None
        self._commit(ClockSet(now - int(time.time()), now if frozen else None))

    def mine(self) -> Block:
        """Make the next block."""
        self._commit(Mined(self.now()))
        return self.head

    def _commit(self, entry: Entry) -> None:
        self._journal.append(entry)
        self._apply(entry, mined_at_s=time.monotonic())

    def _apply(self, entry: Entry, *, mined_at_s: float) -> None:
        match entry:
            case Accepted(boc, not_before):
                message = parse_external(boc)
                self._pending[message.hash] = _Pending(message, boc, not_before)
            case Withdrawn(message_hash):
                del self._pending[bytes.fromhex(message_hash)]
            case Minted(boc):
                message = Message(Cell.one_from_boc(boc))
                info = message.content.info
                self._in_flight.append(_InFlight(message, int(info.created_lt), b""))
                self.minted_nano += int(info.value.grams)
            case ClockSet(offset_s, frozen_at):
                self._offset_s, self._frozen_at = offset_s, frozen_at
            case Mined(at):
                self._mine(at, mined_at_s)

    def _mine(self, now: int, mined_at_s: float) -> None:
        previous = self.blocks[-1] if self.blocks else None
        seqno = previous.seqno + 1 if previous else GENESIS_SEQNO
        start_lt = (previous.end_lt // LT_PER_BLOCK + 1) * LT_PER_BLOCK if previous else GENESIS_LT
        block = _BlockInTheMaking(self, seqno, now, start_lt)
        block.tick_tock(ELECTOR, is_tock=False)
        arriving, self._in_flight = self._in_flight, []
        for sent in sorted(arriving, key=lambda sent: (sent.lt, sent.message.hash)):
            block.execute(sent.message, sent.trace_id)
        for waiting in [one for one in self._pending.values() if one.not_before <= seqno]:
            del self._pending[waiting.message.hash]
            block.execute_if_accepted(waiting.message)
        block.tick_tock(CONFIGURATION, is_tock=True)
        self.blocks.append(
            Block(
                seqno=seqno,
                gen_utime=now,
                start_lt=start_lt,
                end_lt=max(transaction.end_lt for transaction in block.transactions),
                transactions=tuple(block.transactions),
                previous_root_hash=previous.root_hash if previous else NO_HASH,
                mined_at_s=mined_at_s,
            )
        )

    def _book(self, transaction: ChainTransaction) -> None:
        self._history[transaction.address].append(transaction)
        self._in_flight.extend(
            _InFlight(message, int(message.content.info.created_lt), transaction.trace)
            for message in transaction.out_messages
            if message.is_internal
        )


class _BlockInTheMaking:
    def __init__(self, chain: Chain, seqno: int, now: int, start_lt: int) -> None:
        self._chain = chain
        self._seqno = seqno
        self._now = now
        self._start_lt = start_lt
        self.transactions: list[ChainTransaction] = []

    def tick_tock(self, address: str, *, is_tock: bool) -> None:
        before = self._chain.state(address)
        executed = self._chain._executor.tick_tock(
            before.boc, is_tock=is_tock, now=self._now, lt=self._start_lt
        )
        self._book(address, executed, before, b"")

    def execute(self, message: Message, trace_id: bytes) -> None:
        before = self._chain.state(message.destination)
        executed = self._chain._executor.execute(
            before.boc,
            bytes(message.cell.to_boc()),
            now=self._now,
            lt=self._next_lt(message.destination),
        )
        self._book(message.destination, executed, before, trace_id)

    def execute_if_accepted(self, message: Message) -> None:
        try:
            self.execute(message, b"")
        except NotAccepted:
            return

    def _next_lt(self, address: str) -> int:
        """An account that is gone in the middle of a block begins anew later, not at once."""
        history = self._chain.transactions(address)
        is_of_this_block = bool(history) and history[-1].mc_seqno == self._seqno
        return history[-1].end_lt if is_of_this_block else self._start_lt

    def _book(
        self, address: str, executed: Executed, before: AccountState, trace_id: bytes
    ) -> None:
        transaction = _transaction(address, executed, self._seqno, before, trace_id)
        self.transactions.append(transaction)
        self._chain._book(transaction)


def _transaction(
    address: str, executed: Executed, mc_seqno: int, before: AccountState, trace_id: bytes
) -> ChainTransaction:
    return ChainTransaction.read(
        address,
        executed.transaction,
        mc_seqno=mc_seqno,
        before=before,
        after=AccountState(executed.shard_account),
        trace_id=trace_id,
    )
