"""Messages as cells: reading, building, and the hashes by which they are found."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pytoniq_core import Address, Cell, begin_cell
from pytoniq_core.tlb.transaction import ExternalMsgInfo, InternalMsgInfo, MessageAny

_COMMENT_OPCODE = 0  # TEP-0: a text comment starts with 32 zero bits
_TRANSFER_NOTIFICATION = 0x7362D09C  # TEP-74


class InvalidMessage(Exception):
    """Not a bag of cells that holds one external message to an account."""


def raw_address(address: Any) -> str:
    """Return the raw form, lower case, of an `Address` or of any textual form.

    Raises:
        ValueError: not an address.
    """
    if not isinstance(address, Address):
        try:
            address = Address(address)
        except Exception as error:
            raise ValueError(f"not an address: {address!r}") from error
    return str(address.to_str(is_user_friendly=False)).lower()


@dataclass(frozen=True)
class Message:
    """A message and the cell that it is."""

    cell: Any

    @cached_property
    def content(self) -> Any:
        """The parsed message: `info`, `init`, `body`."""
        return MessageAny.deserialize(self.cell.begin_parse())

    @property
    def hash(self) -> bytes:
        """The hash of the message's cell."""
        return bytes(self.cell.hash)

    @property
    def is_external(self) -> bool:
        """Whether it came from outside the chain."""
        return isinstance(self.content.info, ExternalMsgInfo)

    @property
    def is_internal(self) -> bool:
        """Whether it goes from account to account."""
        return isinstance(self.content.info, InternalMsgInfo)

    @property
    def destination(self) -> str:
        """The raw address that it goes to."""
        return raw_address(self.content.info.dest)

    @cached_property
    def normalized_hash(self) -> bytes:
        """The hash that survives re-wrapping of an external message's body (TEP-467)."""
        cell = (
            _external_header(self.content.info.dest, import_fee_nano=0)
            .store_bit(0)
            .store_bit(1)
            .store_ref(self.content.body)
            .end_cell()
        )
        return bytes(cell.hash)

    @cached_property
    def comment(self) -> str | None:
        """The text comment in its body, None without one."""
        body = self.content.body.begin_parse()
        if body.remaining_bits < 32 or body.load_uint(32) != _COMMENT_OPCODE:
            return None
        try:
            return str(body.load_snake_string())
        except (AssertionError, UnicodeDecodeError):
            return None

    @property
    def opcode(self) -> int | None:
        """The first 32 bits of its body, None when it is shorter."""
        body = self.content.body.begin_parse()
        return int(body.preload_uint(32)) if body.remaining_bits >= 32 else None


def parse_external(boc: bytes) -> Message:
    """Read an external message from a bag of cells.

    Raises:
        InvalidMessage: it is none.
    """
    try:
        message = Message(Cell.one_from_boc(boc))
        external = message.is_external and message.destination
    except Exception as error:  # the parser raises what it likes
        raise InvalidMessage(str(error) or type(error).__name__) from error
    if not external:
        raise InvalidMessage("not an external inbound message")
    return message


def rewrap(message: Message) -> bytes:
    """Return another external message with the same signed body (and StateInit), as anyone can.

    Its hash differs, its normalized hash does not.
    """
    content = message.content
    builder = _external_header(content.info.dest, import_fee_nano=content.info.import_fee + 1)
    if content.init is None:
        builder.store_bit(0)
    else:
        builder.store_bit(1).store_bit(1).store_ref(content.init.serialize())
    return bytes(builder.store_bit(1).store_ref(content.body).end_cell().to_boc())


def external_message(address: str, body: Any, code: Any = None, data: Any = None) -> bytes:
    """Build an external message around a body, with a StateInit if `code` is given.

    What fits lies in the message's own cell, as wallets do it: a cell of its own costs more.
    """
    builder = _external_header(Address(address), import_fee_nano=0)
    if code is None:
        builder.store_bit(0)
    else:
        init = begin_cell().store_uint(0, 2).store_maybe_ref(code).store_maybe_ref(data)
        builder.store_bit(1).store_bit(0).store_cell(init.store_bit(0).end_cell())
    fits = len(body.bits) < builder.available_bits and len(body.refs) <= builder.available_refs
    builder.store_bit(not fits)
    message = builder.store_cell(body) if fits else builder.store_ref(body)
    return bytes(message.end_cell().to_boc())


def comment_cell(comment: str) -> Any:
    """Return the body of a message with a text comment; the empty cell without one."""
    body = begin_cell()
    if comment:
        body.store_uint(_COMMENT_OPCODE, 32).store_snake_string(comment)
    return body.end_cell()


def jetton_notice() -> Any:
    """Return the body with which a jetton wallet tells its owner of tokens, but for the details."""
    return begin_cell().store_uint(_TRANSFER_NOTIFICATION, 32).end_cell()


def internal_message(
    *, source: str, destination: str, value_nano: int, body: Any, bounce: bool, lt: int, now: int
) -> bytes:
    """Build an internal message that carries `value_nano` and no fees."""
    header = (
        begin_cell()
        .store_uint(0, 1)
        .store_bit(1)
        .store_bit(bounce)
        .store_bit(0)
        .store_address(Address(source))
        .store_address(Address(destination))
        .store_coins(value_nano)
        .store_bit(0)
        .store_coins(0)
        .store_coins(0)
        .store_uint(lt, 64)
        .store_uint(now, 32)
    )
    return bytes(header.store_bit(0).store_bit(1).store_ref(body).end_cell().to_boc())


def _external_header(destination: Any, *, import_fee_nano: int) -> Any:
    return (
        begin_cell()
        .store_uint(0b10, 2)
        .store_uint(0, 2)
        .store_address(destination)
        .store_coins(import_fee_nano)
    )
