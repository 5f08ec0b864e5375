"""Contracts on the local chain: what a payout may meet, and what strangers may send."""

from __future__ import annotations

import base64
from uuid import uuid4

from pytoniq_core import Address, Builder, StateInit, begin_cell
from pytoniq_core.tlb.transaction import ExternalMsgInfo, MessageAny

from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import Bank

_ACCEPT_OR_THROW = "92F80092F221E2"
"""The selector is on top of the stack: -1 (external) accepts, 0 (internal) throws 33.

PUSHCONT { ACCEPT } PUSHCONT { 33 THROW } IFELSE
"""


_ACCEPT_OR_BURN = "92F8009290EAE2"
"""PUSHCONT { ACCEPT } PUSHCONT { PUSHCONT {} AGAIN } IFELSE"""


def deploy_refuser(bank: Bank) -> str:
    """Deploy a contract that sends every bounceable transfer back; return its raw address."""
    return _deploy(bank, _ACCEPT_OR_THROW)


def deploy_burner(bank: Bank) -> str:
    """Deploy one that uses up all gas there is (0.4 TON) before the transfer goes back."""
    return _deploy(bank, _ACCEPT_OR_BURN)


def _deploy(bank: Bank, code_hex: str) -> str:
    code = begin_cell().store_bytes(bytes.fromhex(code_hex)).end_cell()
    init = StateInit(code=code, data=begin_cell().end_cell())
    address = Address((0, init.serialize().hash))
    raw: str = address.to_str(is_user_friendly=False)
    bank.chain.faucet(raw, 1_000_000_000)
    body: Builder = begin_cell()
    info = ExternalMsgInfo(src=None, dest=address, import_fee=0)
    message = MessageAny(info=info, init=init, body=body.end_cell()).serialize()
    assert bank.client.send(base64.b64encode(message.to_boc()).decode()) == "ok"
    bank.chain.mine()
    assert bank.chain.state(raw)["status"] == "active"
    return raw


def transfer_with_opcode(bank: Bank, address: str, nano: int, opcode: int) -> None:
    """Let somebody send `nano` with a body that begins with `opcode`: it arrives at once."""
    sender = PersonsWallet(f"sender {uuid4()}")
    bank.chain.faucet(sender.address, nano + 1_000_000_000)
    body = begin_cell().store_uint(opcode, 32).store_uint(0, 64).end_cell()
    bank.send(sender, address, nano, body=body)
    bank.chain.mine(2)
