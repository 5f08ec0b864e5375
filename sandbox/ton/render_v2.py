"""TON Center v2 objects, after its schema (toncenter/ton-http-api-cpp, schemas/v2.yaml)."""

from __future__ import annotations

from typing import Any

from sandbox.ton.accounts import NO_HASH, AccountState, ChainTransaction
from sandbox.ton.chain import SHARD_SEQNO_OFFSET, Block
from sandbox.ton.emulation import Fees
from sandbox.ton.executor import SliceArgument
from sandbox.ton.messages import Message
from sandbox.ton.render import BASECHAIN, GLOBAL_ID, MASTERCHAIN, b64, boc, friendly, shard_hash
from sandbox.ton.wallet_types import Wallet

SHARD = "-9223372036854775808"


def state_name(state: AccountState) -> str:
    """`uninitialized`, `active` or `frozen`."""
    return state.status if state.status in ("active", "frozen") else "uninitialized"


def block_id(block: Block, workchain: int = MASTERCHAIN) -> dict[str, Any]:
    """`ton.blockIdExt`."""
    basechain = workchain == BASECHAIN
    return {
        "@type": "ton.blockIdExt",
        "workchain": workchain,
        "shard": SHARD,
        "seqno": block.seqno + SHARD_SEQNO_OFFSET if basechain else block.seqno,
        "root_hash": b64(shard_hash(block, b"shard") if basechain else block.root_hash),
        "file_hash": b64(shard_hash(block, b"shard file") if basechain else block.file_hash),
    }


def block_header(block: Block, previous: Block | None, workchain: int) -> dict[str, Any]:
    """`blocks.header`."""
    return {
        "@type": "blocks.header",
        "id": block_id(block, workchain),
        "global_id": GLOBAL_ID,
        "version": 0,
        "after_merge": False,
        "after_split": False,
        "before_split": False,
        "want_merge": False,
        "want_split": False,
        "validator_list_hash_short": 0,
        "catchain_seqno": 0,
        "min_ref_mc_seqno": block.seqno - 1,
        "is_key_block": False,
        "prev_key_block_seqno": 0,
        "start_lt": str(block.start_lt),
        "end_lt": str(block.end_lt),
        "gen_utime": block.gen_utime,
        "prev_blocks": [block_id(previous, workchain)] if previous else [],
    }


def transaction_id(last: ChainTransaction | None) -> dict[str, Any]:
    """`internal.transactionId`; zeros before the first transaction."""
    return {
        "@type": "internal.transactionId",
        "lt": str(last.lt if last else 0),
        "hash": b64(last.hash if last else NO_HASH),
    }


def short_transaction_id(one: ChainTransaction) -> dict[str, Any]:
    """`blocks.shortTxId`."""
    return {
        "@type": "blocks.shortTxId",
        "mode": 135,  # all three fields are given
        "account": one.address,
        "lt": str(one.lt),
        "hash": b64(one.hash),
    }


def address_information(
    state: AccountState, last: ChainTransaction | None, head: Block
) -> dict[str, Any]:
    """`raw.fullAccountState`."""
    return {
        "@type": "raw.fullAccountState",
        "balance": str(state.balance_nano),
        "extra_currencies": [],
        "code": boc(state.code),
        "data": boc(state.data),
        "last_transaction_id": transaction_id(last),
        "block_id": block_id(head),
        "frozen_hash": b64(state.frozen_hash) if state.frozen_hash else "",
        "sync_utime": head.gen_utime,
        "state": state_name(state),
        "suspended": False,
    }


def extended_address_information(
    address: str,
    state: AccountState,
    wallet: Wallet | None,
    last: ChainTransaction | None,
    head: Block,
) -> dict[str, Any]:
    """`fullAccountState`."""
    return {
        "@type": "fullAccountState",
        "address": _account_address(address),
        "balance": str(state.balance_nano),
        "extra_currencies": [],
        "last_transaction_id": transaction_id(last),
        "block_id": block_id(head),
        "sync_utime": head.gen_utime,
        "account_state": _account_state(state, wallet),
        "revision": 0,
    }


def wallet_information(
    state: AccountState, wallet: Wallet | None, last: ChainTransaction | None
) -> dict[str, Any]:
    """`ext.accounts.walletInformation`."""
    information: dict[str, Any] = {
        "@type": "ext.accounts.walletInformation",
        "wallet": wallet is not None,
        "balance": str(state.balance_nano),
        "account_state": state_name(state),
        "last_transaction_id": transaction_id(last),
    }
    if wallet is not None:
        information |= {"wallet_type": wallet.type, "seqno": wallet.seqno}
        if wallet.wallet_id is not None:
            information["wallet_id"] = wallet.wallet_id
        if wallet.is_signature_allowed is not None:
            information["is_signature_allowed"] = wallet.is_signature_allowed
    return information


def transaction(one: ChainTransaction) -> dict[str, Any]:
    """`ext.transaction`. Its `fee` is the total plus what its messages' way costs."""
    storage = getattr(one.content.description, "storage_ph", None)
    storage_fee = int(storage.storage_fees_collected) if storage else 0
    fee = int(one.content.total_fees.grams) + sum(
        int(message.content.info.fwd_fee) for message in one.out_messages if message.is_internal
    )
    return {
        "@type": "ext.transaction",
        "address": _account_address(one.address),
        "account": one.address.upper(),
        "utime": one.content.now,
        "data": b64(one.boc),
        "transaction_id": transaction_id(one),
        "fee": str(fee),
        "storage_fee": str(storage_fee),
        "other_fee": str(fee - storage_fee),
        **({"in_msg": _message(one.in_message)} if one.in_message else {}),
        "out_msgs": [_message(message) for message in one.out_messages],
    }


def fees(estimate: Fees) -> dict[str, Any]:
    """`query.fees`."""
    return {
        "@type": "query.fees",
        "source_fees": {"@type": "fees", **vars(estimate)},
        "destination_fees": [],
    }


def stack_entry(value: Any) -> list[Any]:
    """An entry of a get-method's stack, as `[type, value]`."""
    if value is None:
        return ["list", {"@type": "tvm.list", "elements": []}]
    if isinstance(value, int):
        return ["num", hex(value)]
    if isinstance(value, list):
        return ["tuple", {"@type": "tvm.tuple", "elements": [_typed_entry(item) for item in value]}]
    if isinstance(value, SliceArgument):
        return ["slice", {"bytes": boc(value.cell)}]
    return ["cell", {"bytes": boc(value)}]


def _typed_entry(value: Any) -> dict[str, Any]:
    if value is None:
        return {"@type": "tvm.stackEntryList", "list": {"@type": "tvm.list", "elements": []}}
    if isinstance(value, int):
        number = {"@type": "tvm.numberDecimal", "number": str(value)}
        return {"@type": "tvm.stackEntryNumber", "number": number}
    if isinstance(value, list):
        elements = [_typed_entry(item) for item in value]
        return {
            "@type": "tvm.stackEntryTuple",
            "tuple": {"@type": "tvm.tuple", "elements": elements},
        }
    if isinstance(value, SliceArgument):
        content = {"@type": "tvm.slice", "bytes": boc(value.cell)}
        return {"@type": "tvm.stackEntrySlice", "slice": content}
    return {"@type": "tvm.stackEntryCell", "cell": {"@type": "tvm.cell", "bytes": boc(value)}}


def _account_address(address: str) -> dict[str, Any]:
    return {"@type": "accountAddress", "account_address": friendly(address)}


def _account_state(state: AccountState, wallet: Wallet | None) -> dict[str, Any]:
    frozen_hash = b64(state.frozen_hash) if state.frozen_hash else ""
    if state.status != "active":
        return {"@type": "uninited.accountState", "frozen_hash": frozen_hash}
    version = wallet.type.split()[1] if wallet else ""
    if wallet and version in ("v3", "v4"):
        return {
            "@type": f"wallet.{version}.accountState",
            "wallet_id": str(wallet.wallet_id),
            "seqno": wallet.seqno,
        }
    return {
        "@type": "raw.accountState",
        "code": boc(state.code),
        "data": boc(state.data),
        "frozen_hash": frozen_hash,
    }


def _message(message: Message) -> dict[str, Any]:
    content = message.content
    info = content.info
    internal = message.is_internal
    comment = message.comment
    body = content.body
    data: dict[str, Any] = (
        {"@type": "msg.dataText", "text": b64(comment.encode())}
        if comment is not None
        else {
            "@type": "msg.dataRaw",
            "body": boc(body),
            "init_state": boc(content.init.serialize()) if content.init else "",
        }
    )
    return {
        "@type": "ext.message",
        "hash": b64(message.hash),
        "source": friendly(info.src) if internal else "",
        "destination": friendly(info.dest),
        "value": str(info.value.grams) if internal else "0",
        "extra_currencies": [],
        "fwd_fee": str(info.fwd_fee) if internal else "0",
        "ihr_fee": str(info.ihr_fee) if internal else "0",
        "created_lt": str(info.created_lt) if internal else "0",
        "body_hash": b64(body.hash),
        "msg_data": data,
        "message": comment
        if comment is not None
        else b64(body.begin_parse().load_bytes(len(body.bits) // 8)),
    }
