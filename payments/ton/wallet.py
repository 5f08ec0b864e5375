"""Wallet v3r2: addresses, and signed transfers. tonsdk's holes end here, and in `cells`.

tonsdk 1.0.15 takes negative and fractional amounts in silence, fixes `valid_until` at now + 60 s
(and none for seqno 0), takes the bounce flag from the address string, and fails on comments above
123 bytes. Everything below states these itself.
Contract: https://docs.ton.org/standard/wallets/v3
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, NoReturn

from tonsdk.boc import Cell
from tonsdk.contract import Contract
from tonsdk.contract.wallet import WalletV3ContractR2
from tonsdk.crypto import mnemonic_is_valid, mnemonic_new, mnemonic_to_wallet_key
from tonsdk.utils import Address, sign_message

VERSION = "v3r2"
WALLET_ID_BASE = 698_983_191
"""wallet_id of subwallet n is this plus n; n = 0 is the treasury."""

MAX_SUBWALLET = 2**31
SEND_MODE = 3
"""Fees paid separately, errors in the action phase ignored (so that the seqno always advances)."""

_COMMENT_BYTES_FIRST_CELL = 123
_COMMENT_BYTES_NEXT_CELL = 127


@dataclass(frozen=True)
class SignedTransfer:
    """One external message, ready to broadcast, and everything to recognise it by (hex)."""

    boc: bytes
    msg_hash: str
    hash_norm: str
    body_hash: str


@dataclass(frozen=True)
class FeeQuestion:
    """What `estimateFee` needs to emulate a transfer; base64 bags of cells."""

    body: str
    init_code: str
    init_data: str


def new_mnemonic() -> str:
    """Return 24 new random words."""
    return " ".join(mnemonic_new(24))


def public_key_of(mnemonic: str) -> str:
    """Return the hex public key of a mnemonic.

    Raises:
        ValueError: the words are not a valid TON mnemonic.
    """
    return Signer(mnemonic).public_key


def subwallet_address(public_key: str, n: int) -> str:
    """Return the raw address of subwallet `n` (0 is the treasury) of a hex public key."""
    return str(_contract(bytes.fromhex(public_key), n).address.to_string(False))


class Signer:
    """The mnemonic's key. It is never shown, copied out or pickled."""

    __slots__ = ("_private_key", "_public_key")

    def __init__(self, mnemonic: str) -> None:
        """Derive the key from 24 words.

        Raises:
            ValueError: the words are not a valid TON mnemonic.
        """
        words = mnemonic.split()
        if not mnemonic_is_valid(words):
            raise ValueError("not a valid TON mnemonic of 24 words")
        self._public_key, self._private_key = mnemonic_to_wallet_key(words)

    @property
    def public_key(self) -> str:
        """The public key, in hex."""
        return bytes(self._public_key).hex()

    def __repr__(self) -> str:
        return f"<Signer of {self.public_key[:8]}…>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer cannot be pickled")

    def sign_transfer(
        self,
        *,
        subwallet: int,
        seqno: int,
        valid_until: int,
        destination: str,
        amount_nano: int,
        comment: str,
        bounce: bool,
        deploy: bool,
    ) -> SignedTransfer:
        """Sign one transfer of exactly `amount_nano` (nanoTON) to a raw address, send mode 3.

        `valid_until` is Unix time in seconds; `deploy` adds the StateInit of a wallet that is
        not on chain yet.

        Raises:
            ValueError: an amount, time or number that the contract would misread.
        """
        if type(amount_nano) is not int or not 0 < amount_nano < 2**63:
            raise ValueError(f"not an amount to send: {amount_nano!r}")
        if not 0 < valid_until < 2**32 - 1 or not 0 <= seqno < 2**32:
            raise ValueError(f"not a wallet message: seqno {seqno}, valid until {valid_until}")
        contract = _contract(self._public_key, subwallet)
        order = _order(destination, amount_nano, _comment_cell(comment), bounce)
        signing = _signing_cell(subwallet, seqno, valid_until, order)
        signature = sign_message(bytes(signing.bytes_hash()), self._private_key).signature
        body = Cell()
        body.bits.write_bytes(signature)
        body.write_cell(signing)
        header = Contract.create_external_message_header(contract.address)
        init = contract.create_state_init()["state_init"] if deploy else None
        message = Contract.create_common_msg_info(header, init, body)
        return SignedTransfer(
            boc=bytes(message.to_boc(False)),
            msg_hash=_hash(message),
            hash_norm=_hash(normalized(contract.address, body)),
            body_hash=_hash(body),
        )


def fee_question(
    *,
    public_key: str,
    subwallet: int,
    seqno: int,
    valid_until: int,
    destination: str,
    amount_nano: int,
    comment: str,
    bounce: bool,
    deploy: bool,
) -> FeeQuestion:
    """Return the unsigned twin of a transfer, for the fee's emulation with signatures ignored."""
    order = _order(destination, amount_nano, _comment_cell(comment), bounce)
    body = Cell()
    body.bits.write_bytes(bytes(64))
    body.write_cell(_signing_cell(subwallet, seqno, valid_until, order))
    init = _contract(bytes.fromhex(public_key), subwallet).create_state_init()
    return FeeQuestion(
        body=_base64(body),
        init_code=_base64(init["code"]) if deploy else "",
        init_data=_base64(init["data"]) if deploy else "",
    )


def normalized(address: Any, body: Any) -> Any:
    """Return the external message whose hash survives re-wrapping of a signed body (TEP-467)."""
    cell = Contract.create_external_message_header(address)
    cell.bits.write_bit(0)
    cell.bits.write_bit(1)
    cell.refs.append(body)
    return cell


def _contract(public_key: bytes, n: int) -> WalletV3ContractR2:
    if not 0 <= n < MAX_SUBWALLET:
        raise ValueError(f"no subwallet {n}")
    return WalletV3ContractR2(
        public_key=public_key, private_key=b"", wc=0, wallet_id=WALLET_ID_BASE + n
    )


def _order(destination: str, amount_nano: int, payload: Any, bounce: bool) -> Any:
    header = Contract.create_internal_message_header(
        Address(destination), amount_nano, bounce=bounce
    )
    return Contract.create_common_msg_info(header, None, payload)


def _signing_cell(subwallet: int, seqno: int, valid_until: int, order: Any) -> Any:
    cell = Cell()
    cell.bits.write_uint(WALLET_ID_BASE + subwallet, 32)
    cell.bits.write_uint(valid_until, 32)
    cell.bits.write_uint(seqno, 32)
    cell.bits.write_uint8(SEND_MODE)
    cell.refs.append(order)
    return cell


def _comment_cell(comment: str) -> Any:
    """A text comment as a snake of cells (TEP-0: 32 zero bits, then UTF-8)."""
    if not comment:
        return Cell()
    text = comment.encode()
    first, rest = text[:_COMMENT_BYTES_FIRST_CELL], text[_COMMENT_BYTES_FIRST_CELL:]
    pieces = [
        rest[start : start + _COMMENT_BYTES_NEXT_CELL]
        for start in range(0, len(rest), _COMMENT_BYTES_NEXT_CELL)
    ]
    tail = None
    for piece in reversed(pieces):
        cell = Cell()
        cell.bits.write_bytes(piece)
        if tail is not None:
            cell.refs.append(tail)
        tail = cell
    head = Cell()
    head.bits.write_uint(0, 32)
    head.bits.write_bytes(first)
    if tail is not None:
        head.refs.append(tail)
    return head


def _hash(cell: Any) -> str:
    return bytes(cell.bytes_hash()).hex()


def _base64(cell: Any) -> str:
    return base64.b64encode(bytes(cell.to_boc(False))).decode()
