"""TON Center v3 objects, after its models (toncenter/ton-indexer, ton-index-go)."""

from __future__ import annotations

from typing import Any

from pytoniq_core import Address

from sandbox.ton.accounts import NO_HASH, AccountState, ChainTransaction
from sandbox.ton.chain import SHARD_SEQNO_OFFSET, Block
from sandbox.ton.emulation import Fees
from sandbox.ton.executor import SliceArgument
from sandbox.ton.messages import Message, raw_address
from sandbox.ton.render import BASECHAIN, GLOBAL_ID, MASTERCHAIN, b64, boc, shard_hash
from sandbox.ton.wallet_types import Wallet

SHARD = "8000000000000000"

_STATUSES = {"uninitialized": "uninit"}  # pytoniq's word for acc_state_uninit


def block(one: Block, workchain: int = MASTERCHAIN) -> dict[str, Any]:
    """`Block`."""
    basechain = workchain == BASECHAIN
    count = sum(transaction.workchain == workchain for transaction in one.transactions)
    return {
        "workchain": workchain,
        "shard": SHARD,
        "seqno": block_seqno(one.seqno, workchain),
        "root_hash": b64(shard_hash(one, b"shard") if basechain else one.root_hash),
        "file_hash": b64(shard_hash(one, b"shard file") if basechain else one.file_hash),
        "global_id": GLOBAL_ID,
        "version": 0,
        "after_merge": False,
        "before_split": False,
        "after_split": False,
        "want_merge": False,
        "want_split": False,
        "key_block": False,
        "vert_seqno_incr": False,
        "flags": 1,
        "gen_utime": str(one.gen_utime),
        "start_lt": str(one.start_lt),
        "end_lt": str(one.end_lt),
        "validator_list_hash_short": 0,
        "gen_catchain_seqno": 0,
        "min_ref_mc_seqno": one.seqno - 1,
        "prev_key_block_seqno": 0,
        "vert_seqno": 1,
        "master_ref_seqno": one.seqno - 1 if basechain else 0,
        "rand_seed": b64(NO_HASH),
        "created_by": b64(NO_HASH),
        "tx_count": count,
        "masterchain_block_ref": _block_ref(one.seqno, MASTERCHAIN),
        "prev_blocks": [_block_ref(one.seqno - 1, workchain)],
    }


def block_seqno(mc_seqno: int, workchain: int) -> int:
    """The number of the workchain's block that a masterchain block holds."""
    return mc_seqno + SHARD_SEQNO_OFFSET if workchain == BASECHAIN else mc_seqno


def transaction(
    one: ChainTransaction, *, first_of_block: bool, last_of_block: bool
) -> dict[str, Any]:
    """`Transaction`. The indexer knows an account's state at the end of each block only."""
    content = one.content
    return {
        "account": one.address.upper(),
        "hash": b64(one.hash),
        "lt": str(one.lt),
        "now": content.now,
        "mc_block_seqno": one.mc_seqno,
        "trace_id": b64(one.trace),
        "prev_trans_hash": b64(content.prev_trans_hash),
        "prev_trans_lt": str(content.prev_trans_lt),
        "orig_status": _status(content.orig_status),
        "end_status": _status(content.end_status),
        "total_fees": str(content.total_fees.grams),
        "total_fees_extra_currencies": {},
        "description": _description(content.description),
        "block_ref": _block_ref(one.mc_seqno, one.workchain),
        "in_msg": _message(one.in_message) if one.in_message else None,
        "out_msgs": [_message(message) for message in one.out_messages],
        "account_state_before": _account_state(one.before) if first_of_block else None,
        "account_state_after": _account_state(one.after) if last_of_block else None,
        "emulated": False,
    }


def account_state_full(
    address: str, state: AccountState, last: ChainTransaction | None, *, with_boc: bool
) -> dict[str, Any]:
    """`AccountStateFull`."""
    found: dict[str, Any] = {
        "address": address.upper(),
        "account_state_hash": b64(state.hash),
        "balance": str(state.balance_nano),
        "extra_currencies": {},
        "status": state.status,
        "last_transaction_hash": _last_hash(last),
        "last_transaction_lt": _last_lt(last),
        "contract_methods": None,
    }
    if state.frozen_hash:
        found["frozen_hash"] = b64(state.frozen_hash)
    for name, cell in (("data", state.data), ("code", state.code)):
        if cell is not None:
            found[f"{name}_hash"] = b64(cell.hash)
            if with_boc:
                found[f"{name}_boc"] = boc(cell)
    return found


def address_information(state: AccountState, last: ChainTransaction | None) -> dict[str, Any]:
    """`V2AddressInformation`."""
    return {
        "balance": str(state.balance_nano),
        "code": boc(state.code) or None,
        "data": boc(state.data) or None,
        "last_transaction_lt": _last_lt(last),
        "last_transaction_hash": _last_hash(last),
        "frozen_hash": b64(state.frozen_hash) if state.frozen_hash else None,
        "status": _known_status(state),
    }


def wallet_information(
    state: AccountState, wallet: Wallet | None, last: ChainTransaction | None
) -> dict[str, Any]:
    """`V2WalletInformation`; an account without a contract has no wallet fields."""
    information: dict[str, Any] = {
        "balance": str(state.balance_nano),
        "last_transaction_lt": _last_lt(last),
        "last_transaction_hash": _last_hash(last),
        "status": _known_status(state),
    }
    if wallet is not None:
        information |= {"wallet_type": wallet.type, "seqno": wallet.seqno}
        if wallet.wallet_id is not None:
            information["wallet_id"] = wallet.wallet_id
    return information


def fees(estimate: Fees) -> dict[str, Any]:
    """`V2EstimateFeeResult`."""
    return {"source_fees": dict(vars(estimate)), "destination_fees": []}


def stack_entry(value: Any) -> dict[str, Any]:
    """`V2StackEntity`."""
    if value is None:
        return {"type": "list", "value": []}
    if isinstance(value, int):
        return {"type": "num", "value": hex(value)}
    if isinstance(value, list):
        return {"type": "tuple", "value": [stack_entry(item) for item in value]}
    if isinstance(value, SliceArgument):
        return {"type": "slice", "value": boc(value.cell)}
    return {"type": "cell", "value": boc(value)}


def address_row(address: str, state: AccountState) -> dict[str, Any]:
    """`AddressBookRow`; wallets and empty accounts are shown non-bounceable."""
    is_contract = state.status == "active" and not address.startswith("0:")
    form = Address(address).to_str(True, True, is_contract)
    return {"user_friendly": form, "domain": None}


def _block_ref(mc_seqno: int, workchain: int) -> dict[str, Any]:
    return {"workchain": workchain, "shard": SHARD, "seqno": block_seqno(mc_seqno, workchain)}


def _last_lt(last: ChainTransaction | None) -> str:
    return str(last.lt if last else 0)


def _last_hash(last: ChainTransaction | None) -> str:
    return b64(last.hash if last else NO_HASH)


def _known_status(state: AccountState) -> str:
    return "uninit" if state.status == "nonexist" else state.status


def _status(status: Any) -> str:
    return _STATUSES.get(status.type_, str(status.type_))


def _account_state(state: AccountState) -> dict[str, Any]:
    return {
        "hash": b64(state.hash),
        "balance": str(state.balance_nano),
        "extra_currencies": {},
        "account_status": state.status,
        "frozen_hash": b64(state.frozen_hash) if state.frozen_hash else None,
        "data_hash": b64(state.data.hash) if state.data is not None else None,
        "code_hash": b64(state.code.hash) if state.code is not None else None,
    }


def _message(message: Message) -> dict[str, Any]:
    content = message.content
    info = content.info
    internal = message.is_internal
    opcode = message.opcode
    comment = message.comment
    init = content.init.serialize() if content.init else None
    rendered: dict[str, Any] = {
        "hash": b64(message.hash),
        "source": raw_address(info.src).upper() if internal else None,
        "destination": raw_address(info.dest).upper(),
        "value": str(info.value.grams) if internal else None,
        "value_extra_currencies": {},
        "fwd_fee": str(info.fwd_fee) if internal else None,
        "ihr_fee": str(info.ihr_fee) if internal else None,
        "created_lt": str(info.created_lt) if internal else None,
        "created_at": str(info.created_at) if internal else None,
        "opcode": None if opcode is None else f"0x{opcode:08x}",
        "ihr_disabled": bool(info.ihr_disabled) if internal else None,
        "bounce": bool(info.bounce) if internal else None,
        "bounced": bool(info.bounced) if internal else None,
        "import_fee": None if internal else str(info.import_fee),
        "message_content": {
            "hash": b64(content.body.hash),
            "body": boc(content.body),
            "decoded": None if comment is None else {"type": "text_comment", "comment": comment},
        },
        "init_state": None if init is None else {"hash": b64(init.hash), "body": boc(init)},
    }
    if not internal:
        rendered["hash_norm"] = b64(message.normalized_hash)
    return rendered


def _description(description: Any) -> dict[str, Any]:
    kind = "ord" if description.type_ == "ordinary" else description.type_
    found: dict[str, Any] = {
        "type": kind,
        "aborted": bool(description.aborted),
        "destroyed": bool(description.destroyed),
    }
    if kind == "ord":
        found["credit_first"] = bool(description.credit_first)
    if kind == "tick_tock":
        found["is_tock"] = bool(description.is_tock)
    storage = getattr(description, "storage_ph", None)
    if storage is not None:
        found["storage_ph"] = _given(
            storage_fees_collected=str(storage.storage_fees_collected),
            storage_fees_due=_coins(storage.storage_fees_due),
            status_change=storage.status_change.type_,
        )
    credit = getattr(description, "credit_ph", None)
    if credit is not None:
        found["credit_ph"] = _given(
            due_fees_collected=_coins(credit.due_fees_collected), credit=str(credit.credit.grams)
        )
    found["compute_ph"] = _compute_phase(description.compute_ph)
    if description.action is not None:
        found["action"] = _action_phase(description.action)
    bounce = getattr(description, "bounce", None)
    if bounce is not None:
        found["bounce"] = _bounce_phase(bounce)
    return found


def _compute_phase(phase: Any) -> dict[str, Any]:
    if phase.type_ == "skipped":
        return {"skipped": True, "reason": phase.reason.type_}
    return _given(
        skipped=False,
        success=bool(phase.success),
        msg_state_used=bool(phase.msg_state_used),
        account_activated=bool(phase.account_activated),
        gas_fees=str(phase.gas_fees),
        gas_used=str(phase.gas_used),
        gas_limit=str(phase.gas_limit),
        gas_credit=_coins(phase.gas_credit),
        mode=phase.mode,
        exit_code=phase.exit_code,
        exit_arg=phase.exit_arg,
        vm_steps=phase.vm_steps,
        vm_init_state_hash=b64(phase.vm_init_state_hash),
        vm_final_state_hash=b64(phase.vm_final_state_hash),
    )


def _action_phase(phase: Any) -> dict[str, Any]:
    return _given(
        success=bool(phase.success),
        valid=bool(phase.valid),
        no_funds=bool(phase.no_funds),
        status_change=phase.status_change.type_,
        total_fwd_fees=_coins(phase.total_fwd_fees),
        total_action_fees=_coins(phase.total_action_fees),
        result_code=phase.result_code,
        result_arg=phase.result_arg,
        tot_actions=phase.tot_actions,
        spec_actions=phase.spec_actions,
        skipped_actions=phase.skipped_actions,
        msgs_created=phase.msgs_created,
        action_list_hash=b64(phase.action_list_hash),
        tot_msg_size=_size(phase.tot_msg_size),
    )


def _bounce_phase(phase: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"type": phase.type_}
    if phase.type_ == "nofunds":
        found |= {"msg_size": _size(phase.msg_size), "req_fwd_fees": str(phase.req_fwd_fees)}
    if phase.type_ == "ok":
        found |= {
            "msg_size": _size(phase.msg_size),
            "msg_fees": str(phase.msg_fees),
            "fwd_fees": str(phase.fwd_fees),
        }
    return found


def _size(size: Any) -> dict[str, str]:
    return {"cells": str(size.cells), "bits": str(size.bits)}


def _coins(value: int | None) -> str | None:
    return None if value is None else str(value)


def _given(**fields: Any) -> dict[str, Any]:
    """Leave out what is None, as the vendor does."""
    return {name: value for name, value in fields.items() if value is not None}
