"""The real transaction executor and virtual machine, from the `tonpy` wheel.

The engine keeps state per calling thread: everything here is to be called from one thread.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytoniq_core import Cell
from tonpy.tvm.c7 import C7
from tonpy.tvm.emulator import Emulator
from tonpy.tvm.tvm import TVM
from tonpy.types import Cell as EngineCell
from tonpy.types import CellSlice, VmDict

CONFIG = Path(__file__).with_name("config.b64")
"""The main chain's configuration: gas prices, forward fees, workchains; a bag of cells."""

_EXIT_CODE = re.compile(r"exit code (-?\d+)")
_NO_SEED = "0" * 64


class NotAccepted(Exception):
    """An external message that the account does not accept: it changes nothing and costs nothing.

    `exit_code` is the contract's, None when there is no contract to ask.
    """

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(f"external message not accepted, exit code {exit_code}")
        self.exit_code = exit_code


@dataclass(frozen=True)
class Executed:
    """What an execution made; bags of cells (`Transaction`, `ShardAccount`)."""

    transaction: bytes
    shard_account: bytes


@dataclass(frozen=True)
class GetResult:
    """What a get-method left: exit code, gas, and its stack of int, Cell, None and lists."""

    exit_code: int
    gas_used: int
    stack: list[Any]


class Executor:
    """Executes messages against accounts. Holds no account itself."""

    def __init__(self, config: str | None = None) -> None:
        """Load the chain's configuration (base64; default `CONFIG`)."""
        self.config_boc = config or CONFIG.read_text().strip()
        self._config = VmDict(32, False, EngineCell(self.config_boc))
        self._emulator = Emulator(self._config)
        self._emulator.set_rand_seed(_NO_SEED)

    def execute(
        self,
        shard_account: bytes,
        message: bytes,
        *,
        now: int,
        lt: int,
        check_signature: bool = True,
    ) -> Executed:
        """Execute a message on an account, at Unix time `now`, not before logical time `lt`.

        Raises:
            NotAccepted: an external message that the account refuses.
        """
        self._emulator.set_ignore_chksig(not check_signature)
        try:
            accepted = self._emulator.emulate_transaction(
                _engine_cell(shard_account), _engine_cell(message), now, lt
            )
        except RuntimeError as error:  # there is no contract to run, or none can be made of it
            raise NotAccepted(None) from error
        if not accepted:
            codes = _EXIT_CODE.findall(str(self._emulator.emulator.vm_log))
            raise NotAccepted(int(codes[-1]) if codes else None)
        return self._executed()

    def tick_tock(self, shard_account: bytes, *, is_tock: bool, now: int, lt: int) -> Executed:
        """Run a special account of the masterchain, as each masterchain block does."""
        self._emulator.set_ignore_chksig(False)
        done = self._emulator.emulate_tick_tock_transaction(
            _engine_cell(shard_account), is_tock, now, lt
        )
        if not done:
            raise RuntimeError(f"tick-tock failed: {self._emulator.emulator.vm_log}")
        return self._executed()

    def run_get_method(
        self,
        *,
        code: bytes,
        data: bytes,
        address: str,
        balance_nano: int,
        method_id: int,
        arguments: list[Any],
        now: int,
    ) -> GetResult:
        """Run a get-method of a contract; arguments are int, Cell or `SliceArgument`."""
        machine = TVM(code=_engine_cell(code), data=_engine_cell(data))
        workchain, account = address.split(":")
        machine.set_c7(
            C7(
                time=now,
                balance_grams=balance_nano,
                rand_seed=0,
                address={"workchain": workchain, "address": account},
                global_config=self._config,
            )
        )
        machine.set_stack([*map(_to_engine, arguments), method_id])
        stack = machine.run(allow_non_success=True)
        exit_code = 0 if machine.exit_code in (0, 1) else machine.exit_code
        return GetResult(exit_code, machine.gas_used, [_from_engine(value) for value in stack])

    def _executed(self) -> Executed:
        engine = self._emulator.emulator
        return Executed(
            transaction=_boc(EngineCell(engine.transaction_cell)),
            shard_account=_boc(EngineCell(engine.account_cell)),
        )


@dataclass(frozen=True)
class SliceArgument:
    """A get-method's argument that is a slice of this cell."""

    cell: Any


def _engine_cell(boc: bytes) -> Any:
    return EngineCell(base64.b64encode(boc).decode())


def _boc(cell: Any) -> bytes:
    return base64.b64decode(cell.to_boc())


def _to_engine(value: Any) -> Any:
    if isinstance(value, int):
        return value
    if isinstance(value, SliceArgument):
        return _engine_cell(value.cell.to_boc()).begin_parse()
    return _engine_cell(value.to_boc())


def _from_engine(value: Any) -> Any:
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, list):
        return [_from_engine(item) for item in value]
    if isinstance(value, CellSlice):
        return SliceArgument(Cell.one_from_boc(_boc(value.to_cell())))
    return Cell.one_from_boc(_boc(value))
