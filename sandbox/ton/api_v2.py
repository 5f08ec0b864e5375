"""The methods of TON Center's HTTP API v2."""

from __future__ import annotations

from typing import Any

from pytoniq_core import Cell

from sandbox.ton import render_v2 as render
from sandbox.ton.accounts import ChainTransaction
from sandbox.ton.call import ApiError, Call, Methods
from sandbox.ton.chain import SHARD_SEQNO_OFFSET, Block
from sandbox.ton.emulation import argument, estimate_fee, run_get_method
from sandbox.ton.render import BASECHAIN, MASTERCHAIN, b64
from sandbox.ton.view import View
from sandbox.ton.wallet_types import wallet_of

_MAX_TRANSACTIONS = 100
_ARGUMENT_KINDS = {
    "num": "num",
    "int": "num",
    "cell": "cell",
    "tvm.Cell": "cell",
    "slice": "slice",
    "tvm.Slice": "slice",
}


def _view(call: Call) -> View:
    """What the call may see, narrowed by its `seqno`."""
    if "seqno" not in call.params:
        return call.view
    seqno = call.params.integer("seqno")
    if call.view.block(seqno) is None:
        raise ApiError(500, "LITE_SERVER_NOTREADY: block is not applied")
    return call.view.at(seqno)


def _masterchain_info(call: Call) -> Any:
    head = call.view.head
    return {
        "@type": "blocks.masterchainInfo",
        "last": render.block_id(head),
        "state_root_hash": b64(head.root_hash),
        "init": render.block_id(call.view.first),
    }


def _block_header(call: Call) -> Any:
    block, workchain = _block(call)
    return render.block_header(block, call.view.block(block.seqno - 1), workchain)


def _shards(call: Call) -> Any:
    block = _masterchain_block(call, call.params.integer("seqno"))
    return {"@type": "blocks.shards", "shards": [render.block_id(block, BASECHAIN)]}


def _block_transactions(call: Call) -> Any:
    """The first `count` transactions of a block; `incomplete` says that there are more."""
    block, workchain = _block(call)
    count = call.params.integer("count", 40)
    found = [one for one in block.transactions if one.workchain == workchain]
    return {
        "@type": "blocks.transactions",
        "id": render.block_id(block, workchain),
        "req_count": count,
        "incomplete": len(found) > count,
        "transactions": [render.short_transaction_id(one) for one in found[:count]],
    }


def _block(call: Call) -> tuple[Block, int]:
    """The block of `workchain` and `seqno`, as the masterchain block that holds it."""
    workchain = call.params.integer("workchain")
    seqno = call.params.integer("seqno")
    if workchain not in (MASTERCHAIN, BASECHAIN):
        raise ApiError(422, f"workchain: there is none of number {workchain}")
    return _masterchain_block(
        call, seqno - SHARD_SEQNO_OFFSET if workchain == BASECHAIN else seqno
    ), workchain


def _masterchain_block(call: Call, seqno: int) -> Block:
    block = call.view.block(seqno)
    if block is None:
        raise ApiError(500, "LITE_SERVER_UNKNOWN: block is not found")
    return block


def _last(view: View, address: str) -> ChainTransaction | None:
    """What the account's state links to: an account that was left without a state has none."""
    is_gone = view.state(address).status == "nonexist"
    return None if is_gone else view.last_transaction(address)


def _address_information(call: Call) -> Any:
    view, address = _view(call), call.params.address()
    return render.address_information(view.state(address), _last(view, address), view.head)


def _extended_address_information(call: Call) -> Any:
    view, address = _view(call), call.params.address()
    state = view.state(address)
    return render.extended_address_information(
        address, state, wallet_of(state), _last(view, address), view.head
    )


def _wallet_information(call: Call) -> Any:
    view, address = _view(call), call.params.address()
    state = view.state(address)
    return render.wallet_information(state, wallet_of(state), _last(view, address))


def _address_balance(call: Call) -> Any:
    return str(_view(call).state(call.params.address()).balance_nano)


def _address_state(call: Call) -> Any:
    return render.state_name(_view(call).state(call.params.address()))


def _transactions(call: Call) -> Any:
    """Newest first, from (`lt`, `hash`) inclusive down to `to_lt` exclusive, link by link."""
    params = call.params
    limit = params.integer("limit", 10)
    if not 0 < limit <= _MAX_TRANSACTIONS:
        raise ApiError(422, f"limit: should be in range [1, {_MAX_TRANSACTIONS}]")
    if ("lt" in params) != ("hash" in params):
        raise ApiError(422, "lt and hash should be used together")
    address = params.address()
    known = call.view.transactions(address)
    if "lt" in params:
        known = _up_to(known, params.integer("lt"), params.hash("hash"))
    elif _last(call.view, address) is None:
        known = []
    to_lt = params.integer("to_lt", 0)
    return [render.transaction(one) for one in _linked(known, to_lt)[:limit]]


def _linked(known: list[ChainTransaction], to_lt: int) -> list[ChainTransaction]:
    """Newest first, back to where the account began anew."""
    found: list[ChainTransaction] = []
    for one in reversed(known):
        if one.lt <= to_lt or (found and found[-1].content.prev_trans_lt != one.lt):
            break
        found.append(one)
    return found


def _up_to(known: list[ChainTransaction], lt: int, wanted_hash: bytes) -> list[ChainTransaction]:
    for count, one in enumerate(known, start=1):
        if (one.lt, one.hash) == (lt, wanted_hash):
            return known[:count]
    raise ApiError(
        500,
        "LITE_SERVER_UNKNOWN: cannot locate transaction in block with specified logical time",
    )


def _send_boc(call: Call) -> Any:
    call.send()
    return {"@type": "ok"}


def _send_boc_return_hash(call: Call) -> Any:
    message = call.send()
    return {
        "@type": "raw.extMessageInfo",
        "hash": b64(message.hash),
        "hash_norm": b64(message.normalized_hash),
    }


def _run_get_method(call: Call) -> Any:
    result = run_get_method(call, [_argument(entry) for entry in call.params.one("stack", [])])
    last = _last(call.view, call.params.address())
    return {
        "@type": "smc.runResult",
        "gas_used": result.gas_used,
        "stack": [render.stack_entry(value) for value in result.stack],
        "exit_code": result.exit_code,
        "block_id": render.block_id(call.view.head),
        "last_transaction_id": render.transaction_id(last),
    }


def _argument(entry: Any) -> Any:
    if not isinstance(entry, list) or len(entry) != 2:
        raise ApiError(422, "stack: an entry is [type, value]")
    kind = _ARGUMENT_KINDS.get(entry[0], str(entry[0]))
    if kind == "num":
        return argument(kind, entry[1], None)
    try:
        return argument(kind, None, Cell.one_from_boc(entry[1]))
    except ApiError:
        raise
    except Exception as error:  # the parser raises what it likes
        raise ApiError(422, "stack: not a bag of cells") from error


def _estimate_fee(call: Call) -> Any:
    return render.fees(estimate_fee(call))


def _config_all(call: Call) -> Any:
    cell = {"@type": "tvm.cell", "bytes": call.chain.configuration_boc}
    return {"@type": "configInfo", "config": cell}


METHODS: Methods = {
    "getMasterchainInfo": _masterchain_info,
    "getBlockHeader": _block_header,
    "shards": _shards,
    "getBlockTransactions": _block_transactions,
    "getAddressInformation": _address_information,
    "getExtendedAddressInformation": _extended_address_information,
    "getWalletInformation": _wallet_information,
    "getAddressBalance": _address_balance,
    "getAddressState": _address_state,
    "getTransactions": _transactions,
    "sendBoc": _send_boc,
    "sendBocReturnHash": _send_boc_return_hash,
    "runGetMethod": _run_get_method,
    "estimateFee": _estimate_fee,
    "getConfigAll": _config_all,
}
