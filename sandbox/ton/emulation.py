"""Fees of a transfer before it is sent, and get-methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytoniq_core.crypto.crc import crc16

from sandbox.ton.call import ApiError, Call
from sandbox.ton.executor import GetResult, SliceArgument
from sandbox.ton.messages import external_message

NO_CONTRACT = -13
"""The exit code of a get-method on an account without a contract."""


@dataclass(frozen=True)
class Fees:
    """What a transfer costs its sender beside the amount, in nanoTON."""

    in_fwd_fee: int
    storage_fee: int
    gas_fee: int
    fwd_fee: int


def estimate_fee(call: Call) -> Fees:
    """Emulate the message of `address`, `body`, `init_code`, `init_data` as of now."""
    params = call.params
    message = external_message(
        params.address(), params.cell("body"), params.cell("init_code"), params.cell("init_data")
    )
    transaction = call.emulate(message, check_signature=not params.flag("ignore_chksig", True))
    description = transaction.content.description
    gas = int(getattr(description.compute_ph, "gas_fees", 0))
    storage = int(description.storage_ph.storage_fees_collected)
    action = description.action
    forward = int(action.total_fwd_fees or 0) if action else 0
    own_share = int(action.total_action_fees or 0) if action else 0
    total = int(transaction.content.total_fees.grams)
    return Fees(
        in_fwd_fee=total - gas - storage - own_share,
        storage_fee=storage,
        gas_fee=gas,
        fwd_fee=forward,
    )


def run_get_method(call: Call, arguments: list[Any]) -> GetResult:
    """Run the get-method `method` (name or number) of `address`."""
    address = call.params.address()
    state = call.view.state(address)
    if state.code is None or state.data is None:
        return GetResult(NO_CONTRACT, 0, [])
    return call.chain.run_get_method(
        address, state, method_id=_method_id(call.params.one("method")), arguments=arguments
    )


def argument(kind: str, value: Any, cell: Any) -> Any:
    """Return a get-method's argument of kind `num`, `cell` or `slice`."""
    if kind == "num":
        try:
            return int(str(value), 0)
        except ValueError as error:
            raise ApiError(422, f"stack: not a number: {value!r}") from error
    if kind == "cell":
        return cell
    if kind == "slice":
        return SliceArgument(cell)
    raise ApiError(422, f"stack: unsupported entry type: {kind!r}")


def _method_id(method: Any) -> int:
    if isinstance(method, int) or str(method).lstrip("-").isdigit():
        return int(method)
    return int.from_bytes(crc16(str(method).encode()), "big") & 0xFFFF | 0x10000
