"""Cells that others wrote: their bits and references in turn, and the hash of any shape.

tonsdk 1.0.15 reads beyond a cell's end in silence, lets a cell contain itself, and hashes a cell
anew for each reference to it, which a stranger's message (a cell referred to twice by one that is
referred to twice ...) turns into a task without an end. Everything below states these itself.
Reference: https://docs.ton.org/foundations/serialization/cells
"""

from __future__ import annotations

import hashlib
from typing import Any

from tonsdk.boc import Cell
from tonsdk.utils import Address

from .wallet import normalized

_MAX_DEPTH = 1024
_LIBRARY = 2


def parse_boc(boc: bytes) -> Any:
    """Return the one root cell of a bag of cells; raises whatever tonsdk likes if it is none."""
    return Cell.one_from_boc(boc)


class Reader:
    """Reads a cell from its start; raises ValueError or IndexError where it ends too early."""

    def __init__(self, cell: Any) -> None:
        if cell.is_exotic:
            raise ValueError("an exotic cell has no contents of its own")
        self._slice = cell.begin_parse()

    @property
    def bits_left(self) -> int:
        """How many bits are still to be read."""
        return len(self._slice)

    def number(self, bits: int) -> int:
        """Read an unsigned number."""
        if bits > self.bits_left:
            raise ValueError("the cell ends too early")
        return int(self._slice.read_uint(bits)) if bits else 0

    def signed(self, bits: int) -> int:
        """Read a signed number."""
        value = self.number(bits)
        return value - (value >> (bits - 1) << bits)

    def flag(self) -> bool:
        """Read a bit."""
        return bool(self.number(1))

    def coins(self) -> int:
        """Read an amount of nanoTON."""
        return self.number(8 * self.number(4))

    def ref(self) -> Any:
        """Read a reference."""
        return self._slice.read_ref()

    def maybe_ref(self) -> Any | None:
        """Read a reference, if there is one."""
        return self.ref() if self.flag() else None

    def rest(self) -> Any:
        """Return what is left as a cell of its own."""
        cell = Cell()
        for bit in self._slice.bits:
            cell.bits.write_bit(bit)
        cell.refs = self._slice.refs[self._slice.ref_offset :]
        return cell


def cell_hash(cell: Any) -> bytes:
    """Return a cell's representation hash; nothing if there is a proof or a pruned branch in it."""
    known: dict[int, tuple[bytes, int]] = {}
    path = [cell]
    while path:
        top = path[-1]
        unknown = next((ref for ref in top.refs if id(ref) not in known), None)
        if unknown is None:
            known[id(path.pop())] = _hash_and_depth(top, [known[id(ref)] for ref in top.refs])
        elif len(path) > _MAX_DEPTH:
            raise ValueError("deeper than a cell may be")
        else:
            path.append(unknown)
    return known[id(cell)][0]


def normalized_hash(address: str, body: Any) -> bytes:
    """Return the hash of an external message that survives re-wrapping of its body (TEP-467)."""
    return cell_hash(normalized(Address(address), body))


def _hash_and_depth(cell: Any, children: list[tuple[bytes, int]]) -> tuple[bytes, int]:
    depth = 1 + max(depth for _, depth in children) if children else 0
    data = cell.bits.get_top_upped_array()
    if not all(child for child, _ in children) or (cell.is_exotic and data[0] != _LIBRARY):
        return b"", depth
    digest = hashlib.sha256(bytes([len(children) + 8 * bool(cell.is_exotic)]))
    digest.update(cell.get_bits_descriptor() + data)
    digest.update(b"".join(depth.to_bytes(2, "big") for _, depth in children))
    digest.update(b"".join(child for child, _ in children))
    return digest.digest(), depth
