"""The methods of TON Center's HTTP API v3: reads come from the indexer, which lags."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pytoniq_core import Cell

from sandbox.ton import render_v3 as render
from sandbox.ton.accounts import ChainTransaction
from sandbox.ton.call import ApiError, Call, Methods
from sandbox.ton.chain import Block
from sandbox.ton.emulation import argument, estimate_fee, run_get_method
from sandbox.ton.render import BASECHAIN, MASTERCHAIN, b64
from sandbox.ton.view import Direction, View
from sandbox.ton.wallet_types import wallet_of

_MAX_LIMIT = 1000
_MAX_ADDRESSES = 1000

T = TypeVar("T")


def _masterchain_info(call: Call) -> Any:
    return {"last": render.block(call.view.head), "first": render.block(call.view.first)}


def _blocks(call: Call) -> Any:
    params = call.params
    if ("shard" in params and "workchain" not in params) or (
        "seqno" in params and not ("workchain" in params and "shard" in params)
    ):
        raise ApiError(422, "shard needs workchain, seqno needs workchain and shard")
    known = [block for block in call.chain.blocks if block.seqno <= call.view.seqno]
    pairs = [(block, workchain) for block in known for workchain in (MASTERCHAIN, BASECHAIN)]
    if "workchain" in params:
        wanted = params.integer("workchain")
        pairs = [pair for pair in pairs if pair[1] == wanted]
    if "seqno" in params:
        wanted = params.integer("seqno")
        pairs = [pair for pair in pairs if render.block_seqno(pair[0].seqno, pair[1]) == wanted]
    pairs = _between(call, pairs, "mc_seqno", "mc_seqno", lambda pair: pair[0].seqno)
    pairs = _between(call, pairs, "start_utime", "end_utime", lambda pair: pair[0].gen_utime)
    pairs = _between(call, pairs, "start_lt", "end_lt", lambda pair: pair[0].start_lt)
    found = _page(call, pairs, key=lambda pair: (pair[0].gen_utime, pair[0].seqno, pair[1]))
    return {"blocks": [render.block(block, workchain) for block, workchain in found]}


def _transactions(call: Call) -> Any:
    params = call.params
    if "account" in params:
        found = [
            one
            for address in dict.fromkeys(params.addresses("account"))
            for one in call.view.transactions(address)
        ]
    elif "mc_seqno" in params:
        found = _of_block(call.view.block(params.integer("mc_seqno")))
    elif "hash" in params:
        one = call.view.by_hash(params.hash("hash"))
        found = [one] if one else []
    else:
        found = list(call.view.all_transactions())
    if "hash" in params:
        wanted = params.hash("hash")
        found = [one for one in found if one.hash == wanted]
    excluded = set(params.addresses("exclude_account"))
    found = [one for one in found if one.address not in excluded]
    if "workchain" in params:
        workchain = params.integer("workchain")
        found = [one for one in found if one.workchain == workchain]
    found = _between(call, found, "mc_seqno", "mc_seqno", lambda one: one.mc_seqno)
    found = _between(call, found, "start_utime", "end_utime", lambda one: int(one.content.now))
    found = _between(call, found, "start_lt", "end_lt", lambda one: one.lt)
    found = _between(call, found, "lt", "lt", lambda one: one.lt)
    return _transactions_response(call, found)


def _transactions_by_masterchain_block(call: Call) -> Any:
    return _transactions_response(call, _of_block(call.view.block(call.params.integer("seqno"))))


def _transactions_by_message(call: Call) -> Any:
    direction: Direction | None = call.params.one("direction", None)
    if direction not in (None, "in", "out"):
        raise ApiError(422, "direction should be one of: in, out")
    return _transactions_response(
        call, call.view.by_message(call.params.hash("msg_hash"), direction)
    )


def _account_states(call: Call) -> Any:
    addresses = call.params.addresses("address")
    if not addresses:
        raise ApiError(422, "address of account is required")
    if len(addresses) > _MAX_ADDRESSES:
        raise ApiError(422, f"no more than {_MAX_ADDRESSES} addresses allowed")
    with_boc = call.params.flag("include_boc", True)
    known = [one for one in dict.fromkeys(addresses) if call.view.last_transaction(one)]
    return {
        "accounts": [
            render.account_state_full(
                address,
                call.view.state(address),
                call.view.last_transaction(address),
                with_boc=with_boc,
            )
            for address in known
        ],
        "address_book": _address_book(call, known),
        "metadata": {},
    }


def _address_information(call: Call) -> Any:
    view, address = _node_if_asked(call), call.params.address()
    return render.address_information(view.state(address), view.last_transaction(address))


def _wallet_information(call: Call) -> Any:
    view, address = _node_if_asked(call), call.params.address()
    state = view.state(address)
    wallet = wallet_of(state)
    if wallet is None and state.status == "active":
        raise ApiError(409, "not a wallet")
    return render.wallet_information(state, wallet, view.last_transaction(address))


def _node_if_asked(call: Call) -> View:
    """The indexer's view, or with `use_v2` the node's."""
    return call.node if call.params.flag("use_v2", False) else call.view


def _estimate_fee(call: Call) -> Any:
    return render.fees(estimate_fee(call))


def _message(call: Call) -> Any:
    message = call.send()
    return {
        "message_hash": b64(message.hash),
        "message_hash_norm": b64(message.normalized_hash),
    }


def _run_get_method(call: Call) -> Any:
    result = run_get_method(call, [_argument(entry) for entry in call.params.one("stack", [])])
    return {
        "gas_used": result.gas_used,
        "exit_code": result.exit_code,
        "stack": [render.stack_entry(value) for value in result.stack],
    }


def _argument(entry: Any) -> Any:
    if not isinstance(entry, dict) or not {"type", "value"} <= entry.keys():
        raise ApiError(422, "stack: an entry is {type, value}")
    if entry["type"] == "num":
        return argument("num", entry["value"], None)
    try:
        cell = Cell.one_from_boc(entry["value"])
    except Exception as error:  # the parser raises what it likes
        raise ApiError(422, "stack: not a bag of cells") from error
    return argument(entry["type"], None, cell)


def _of_block(block: Block | None) -> list[ChainTransaction]:
    return list(block.transactions) if block else []


def _between(
    call: Call, found: list[T], at_least: str, at_most: str, of: Callable[[T], int]
) -> list[T]:
    params = call.params
    if at_least in params:
        lowest = params.integer(at_least)
        found = [one for one in found if of(one) >= lowest]
    if at_most in params:
        highest = params.integer(at_most)
        found = [one for one in found if of(one) <= highest]
    return found


def _page(call: Call, found: Iterable[T], *, key: Callable[[T], Any]) -> list[T]:
    """Sort, and cut out what `limit` (at most 1,000, default 10) and `offset` ask for."""
    limit, offset = call.params.integer("limit", 10), call.params.integer("offset", 0)
    order = str(call.params.one("sort", "desc"))
    if not 0 < limit <= _MAX_LIMIT:
        raise ApiError(422, f"limit is not allowed: {limit} (maximum {_MAX_LIMIT})")
    if offset < 0 or order not in ("asc", "desc"):
        raise ApiError(422, "offset or sort is not allowed")
    if call.unindexed:
        return []
    ordered = sorted(found, key=key, reverse=order == "desc")
    return ordered[offset : offset + limit]


def _transactions_response(call: Call, found: list[ChainTransaction]) -> dict[str, Any]:
    page = _page(call, found, key=lambda one: (one.lt, one.address))
    return {
        "transactions": [
            render.transaction(
                one,
                first_of_block=call.view.is_first_of_its_block(one),
                last_of_block=call.view.is_last_of_its_block(one),
            )
            for one in page
        ],
        "address_book": _address_book(call, (one.address for one in page)),
    }


def _address_book(call: Call, addresses: Iterable[str]) -> dict[str, Any]:
    return {
        address.upper(): render.address_row(address, call.view.state(address))
        for address in addresses
    }


METHODS: Methods = {
    "masterchainInfo": _masterchain_info,
    "blocks": _blocks,
    "transactions": _transactions,
    "transactionsByMasterchainBlock": _transactions_by_masterchain_block,
    "transactionsByMessage": _transactions_by_message,
    "accountStates": _account_states,
    "addressInformation": _address_information,
    "walletInformation": _wallet_information,
    "estimateFee": _estimate_fee,
    "message": _message,
    "runGetMethod": _run_get_method,
}
