"""A chain transaction out of its bag of cells, as v3 would show it.

Layout: https://github.com/ton-blockchain/ton/blob/master/crypto/block/block.tlb
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from .api import TonUnavailable, validated
from .cells import Reader, cell_hash, normalized_hash, parse_boc
from .schema import ChainTransaction

_OUT_KEY_BITS = 15


def read_chain_transaction(
    data: str, *, account: str, lt: int, tx_hash: str, seqno: int
) -> ChainTransaction:
    """Return the chain transaction of a raw address that has this lt and hash (hex).

    `seqno` is the masterchain block that it is said to be in. A message that has a proof in it
    has no hash here.

    Raises:
        TonUnavailable: the bag of cells (base64) makes no sense, or is another's.
    """
    try:
        cell = parse_boc(base64.b64decode(data, validate=True))
        own_hash = cell_hash(cell)
        address, shown = _transaction(Reader(cell))
    except Exception as error:  # the parser of cells raises what it likes
        reason = f"a chain transaction of {account} makes no sense: {error!r}"
        raise TonUnavailable(reason=reason) from error
    is_it = address == account.split(":")[1] and shown["lt"] == lt
    if not is_it or own_hash.hex() not in ("", tx_hash):
        raise TonUnavailable(reason=f"another chain transaction than {lt} of {account}")
    known = {"account": account, "hash": _shown(bytes.fromhex(tx_hash)), "mc_block_seqno": seqno}
    return validated(ChainTransaction, shown | known)


def _transaction(reader: Reader) -> tuple[str, dict[str, Any]]:
    if reader.number(4) != 0b0111:
        raise ValueError("not a transaction")
    address = f"{reader.number(256):064x}"
    shown: dict[str, Any] = {
        "lt": reader.number(64),
        "prev_trans_hash": _shown(reader.number(256).to_bytes(32, "big")),
        "prev_trans_lt": reader.number(64),
        "now": reader.number(32),
    }
    reader.number(
        _OUT_KEY_BITS + 2 + 2
    )  # how many messages, and the account's status before, after
    messages = Reader(reader.ref())
    in_msg, out_msgs = messages.maybe_ref(), messages.maybe_ref()
    shown["in_msg"] = None if in_msg is None else _message(in_msg)
    found = () if out_msgs is None else _values(out_msgs, _OUT_KEY_BITS)
    shown["out_msgs"] = [_message(one.ref()) for one in found]
    shown["total_fees"] = _currencies(reader)
    reader.ref()  # the account's hashes before and after
    return address, shown | {"description": _description(Reader(reader.ref()))}


def _message(cell: Any) -> dict[str, Any]:
    reader = Reader(cell)
    shown: dict[str, Any] = {"hash": _shown(cell_hash(cell))}
    is_internal = not reader.flag()
    is_inbound = not is_internal and not reader.flag()
    if is_internal:
        reader.number(2)  # whether hypercube routing is off, and whether it may bounce
        shown["bounced"] = reader.flag()
    source, destination = _address(reader), _address(reader)
    shown |= {"source": source, "destination": destination}
    if is_internal:
        shown["value"] = _currencies(reader)
        reader.coins()
        shown["fwd_fee"] = reader.coins()
    if is_inbound:
        reader.coins()
    else:
        reader.number(64 + 32)  # created: lt, time
    if reader.flag():
        if reader.flag():
            reader.ref()
        else:
            _skip_state_init(reader)
    body = reader.ref() if reader.flag() else reader.rest()
    shown["message_content"] = {"hash": _shown(cell_hash(body))}
    if not body.is_exotic and (content := Reader(body)).bits_left >= 32:
        shown["opcode"] = hex(content.number(32))
    if is_inbound:
        shown["hash_norm"] = _shown(normalized_hash(destination, body))
    return shown


def _skip_state_init(reader: Reader) -> None:
    if reader.flag():
        reader.number(5)
    if reader.flag():
        reader.number(2)
    for _ in ("code", "data", "libraries"):
        reader.maybe_ref()


def _address(reader: Reader) -> str:
    """A raw address; nothing for none, or one outside the chain."""
    kind = reader.number(2)
    if kind == 0b00:
        return ""
    if kind == 0b01:
        reader.number(reader.number(9))
        return ""
    if reader.flag():  # anycast: a prefix to rewrite
        reader.number(reader.number(5))
    if kind == 0b10:
        return f"{reader.signed(8)}:{reader.number(256):064x}"
    bits = reader.number(9)
    return f"{reader.signed(32)}:{reader.number(bits):x}"


def _currencies(reader: Reader) -> int:
    """The nanoTON of a sum that may hold other currencies, too."""
    nano = reader.coins()
    reader.maybe_ref()
    return nano


def _description(reader: Reader) -> dict[str, Any]:
    """Of an ordinary one; no other kind has a message that it could bounce."""
    if reader.number(4) != 0b0000:
        return {}
    reader.flag()
    if reader.flag():
        _skip_storage_phase(reader)
    if reader.flag():
        _skip_credit_phase(reader)
    _skip_compute_phase(reader)
    reader.maybe_ref()  # the action phase
    return {"aborted": reader.flag(), "bounce": _bounce_phase(reader) if reader.flag() else None}


def _skip_storage_phase(reader: Reader) -> None:
    reader.coins()
    if reader.flag():
        reader.coins()
    if reader.flag():  # the account's status changes
        reader.flag()


def _skip_credit_phase(reader: Reader) -> None:
    if reader.flag():
        reader.coins()
    _currencies(reader)


def _skip_compute_phase(reader: Reader) -> None:
    if reader.flag():
        reader.number(3)
        reader.coins()
        reader.ref()
    elif reader.number(2) == 0b11:  # skipped, for a reason that takes a third bit
        reader.flag()


def _bounce_phase(reader: Reader) -> dict[str, str]:
    if reader.flag():
        return {"type": "ok"}
    return {"type": "nofunds" if reader.flag() else "negfunds"}


def _values(cell: Any, key_bits: int) -> Iterator[Reader]:
    """The values of a dictionary with keys of so many bits, by key."""
    reader = Reader(cell)
    key_bits -= _label_length(reader, key_bits)
    if key_bits < 0:
        raise ValueError("a label longer than its key")
    if key_bits == 0:
        yield reader
        return
    for branch in (reader.ref(), reader.ref()):
        yield from _values(branch, key_bits - 1)


def _label_length(reader: Reader, key_bits: int) -> int:
    length = 0
    if not reader.flag():  # short: the length in unary
        while reader.flag():
            length += 1
        reader.number(length)
    elif not reader.flag():  # long
        length = reader.number(key_bits.bit_length())
        reader.number(length)
    else:  # the same bit all along
        reader.flag()
        length = reader.number(key_bits.bit_length())
    return length


def _shown(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
