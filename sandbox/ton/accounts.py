"""Accounts and what happened to them: states and chain transactions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytoniq_core import Address, Cell, begin_cell
from pytoniq_core.tlb.account import ShardAccount
from pytoniq_core.tlb.transaction import Transaction

from sandbox.ton.messages import Message

NO_HASH = bytes(32)

_PARSED_KEPT = 1024
"""Only so many are kept parsed: each takes some 20 KB, and every block adds two."""

_STATUSES = {
    "account_active": "active",
    "account_uninit": "uninit",
    "account_frozen": "frozen",
}


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account between two transactions; `boc` is its `ShardAccount`."""

    boc: bytes

    @property
    def _account(self) -> Any:
        return _parse_account(self.boc)[1]

    @property
    def hash(self) -> bytes:
        """The hash of the account's cell."""
        return _parse_account(self.boc)[0]

    @property
    def status(self) -> str:
        """`nonexist`, `uninit`, `active` or `frozen`."""
        return "nonexist" if self._account is None else _STATUSES[self._account.storage.state.type_]

    @property
    def balance_nano(self) -> int:
        """What the account holds."""
        return 0 if self._account is None else int(self._account.storage.balance.grams)

    @property
    def code(self) -> Any | None:
        """The contract's code cell."""
        return self._state_init.code if self.status == "active" else None

    @property
    def data(self) -> Any | None:
        """The contract's data cell."""
        return self._state_init.data if self.status == "active" else None

    @property
    def frozen_hash(self) -> bytes | None:
        """The hash of the state that a frozen account had."""
        if self.status != "frozen":
            return None
        return bytes.fromhex(self._account.storage.state.state_hash)

    @property
    def _state_init(self) -> Any:
        return self._account.storage.state.state_init


@lru_cache(maxsize=_PARSED_KEPT)
def _parse_account(boc: bytes) -> tuple[bytes, Any]:
    shard_account = Cell.one_from_boc(boc)
    parsed = ShardAccount.deserialize(shard_account.begin_parse())
    return bytes(shard_account.refs[0].hash), parsed.account


def _nowhere() -> AccountState:
    no_account = begin_cell().store_bit(0).end_cell()
    shard_account = begin_cell().store_ref(no_account).store_bytes(NO_HASH).store_uint(0, 64)
    return AccountState(bytes(shard_account.end_cell().to_boc()))


NOWHERE = _nowhere()
"""The state of an account that has never been seen."""


def special_account(address: str, *, balance_nano: int, ticks: bool, tocks: bool) -> AccountState:
    """A masterchain account that each block runs; its code does nothing (SETCP0)."""
    code = begin_cell().store_uint(0xFF00, 16).end_cell()
    storage_used = begin_cell().store_uint(1, 3).store_uint(1, 8).store_uint(1, 3).store_uint(16, 8)
    account = (
        begin_cell()
        .store_bit(1)
        .store_address(Address(address))
        .store_cell(storage_used.end_cell())
        .store_uint(0, 3)  # no storage_extra
        .store_uint(0, 32)  # last_paid: special accounts pay no rent
        .store_bit(0)
        .store_uint(0, 64)
        .store_coins(balance_nano)
        .store_bit(0)
        .store_bit(1)  # active
        .store_bit(0)
        .store_bit(1)
        .store_bit(ticks)
        .store_bit(tocks)
        .store_bit(1)
        .store_ref(code)
        .store_bit(1)
        .store_ref(begin_cell().end_cell())
        .store_bit(0)
        .end_cell()
    )
    shard_account = begin_cell().store_ref(account).store_bytes(NO_HASH).store_uint(0, 64)
    return AccountState(bytes(shard_account.end_cell().to_boc()))


@dataclass(frozen=True, slots=True)
class ChainTransaction:
    """One executed transaction of an account, in one block."""

    address: str
    boc: bytes
    hash: bytes
    lt: int
    end_lt: int
    """The first logical time that neither it nor its messages have taken."""
    mc_seqno: int
    before: AccountState
    after: AccountState
    trace_id: bytes
    """Hash of the transaction that started the chain of messages; empty: this one did."""

    @classmethod
    def read(
        cls,
        address: str,
        boc: bytes,
        *,
        mc_seqno: int,
        before: AccountState,
        after: AccountState,
        trace_id: bytes,
    ) -> ChainTransaction:
        """Make one of an executor's output."""
        parsed = _parse_transaction(boc)
        return cls(
            address=address,
            boc=boc,
            hash=bytes(parsed.cell.hash),
            lt=int(parsed.content.lt),
            end_lt=int(parsed.content.lt) + int(parsed.content.outmsg_cnt) + 1,
            mc_seqno=mc_seqno,
            before=before,
            after=after,
            trace_id=trace_id,
        )

    @property
    def content(self) -> Any:
        """The parsed transaction."""
        return _parse_transaction(self.boc).content

    @property
    def in_message(self) -> Message | None:
        """The message that caused it; tick-tock has none."""
        return _parse_transaction(self.boc).in_message

    @property
    def out_messages(self) -> tuple[Message, ...]:
        """The messages that it sent, in order."""
        return _parse_transaction(self.boc).out_messages

    @property
    def trace(self) -> bytes:
        """The hash of the transaction that started it all, its own if it did."""
        return self.trace_id or self.hash

    @property
    def workchain(self) -> int:
        """-1 for the masterchain, 0 for the basechain."""
        return int(self.address.split(":")[0])


@dataclass(frozen=True)
class _Parsed:
    cell: Any
    content: Any
    in_message: Message | None
    out_messages: tuple[Message, ...]


@lru_cache(maxsize=_PARSED_KEPT)
def _parse_transaction(boc: bytes) -> _Parsed:
    cell = Cell.one_from_boc(boc)
    messages = cell.refs[0].begin_parse()
    in_message = Message(messages.load_ref()) if messages.load_bit() else None
    found = messages.load_dict(15, value_deserializer=lambda value: Message(value.load_ref()))
    return _Parsed(
        cell=cell,
        content=Transaction.deserialize(cell.begin_parse()),
        in_message=in_message,
        out_messages=tuple(found[key] for key in sorted(found)) if found else (),
    )
