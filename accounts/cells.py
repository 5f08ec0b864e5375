"""Bags of cells, read strictly: the form in which a wallet hands over its state init.

Format: https://docs.ton.org/v3/documentation/data-formats/tlb/cell-boc
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

_MAGIC = bytes.fromhex("b5ee9c72")
_MAX_CELLS = 256
"""Wallets have some twenty cells; this bounds the work, and the depth."""

_MAX_REFS = 4
_EXOTIC, _HAS_HASHES_OR_LEVEL = 0x08, 0xF0
_LIBRARY, _LIBRARY_BITS = 2, 264


@dataclass(frozen=True)
class Cell:
    """A cell; `data` ends with the completion tag if `bits` is no multiple of 8."""

    data: bytes
    bits: int
    refs: tuple[Cell, ...]
    hash: bytes
    depth: int

    def number(self, *, at: int, bits: int) -> int:
        """Return the unsigned number in the `bits` bits from bit `at` on.

        Raises:
            ValueError: the cell is shorter.
        """
        if at + bits > self.bits:
            raise ValueError("the cell is too short")
        below = len(self.data) * 8 - at - bits
        return int.from_bytes(self.data, "big") >> below & (1 << bits) - 1


@dataclass(frozen=True)
class _Stored:
    """A cell as it lies in the bag, its references still numbers."""

    descriptors: bytes
    data: bytes
    refs: tuple[int, ...]


class _Reader:
    def __init__(self, text: bytes) -> None:
        self._rest = text

    def take(self, size: int) -> bytes:
        if size > len(self._rest):
            raise ValueError("the bag ends too early")
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def end(self) -> None:
        if self._rest:
            raise ValueError("the bag goes on after its end")


def parse_bag(bag: bytes) -> Cell:
    """Return the only root of a bag of cells.

    Ordinary cells and library cells, of level 0: wallets have no others. Index, total size and
    checksum are passed over: whoever compares the root's hash needs none of them.

    Raises:
        ValueError: it is not such a bag.
    """
    reader = _Reader(bag)
    if reader.take(4) != _MAGIC:
        raise ValueError("not a bag of cells")
    flags, offset_size = reader.number(1), reader.number(1)
    has_index, has_checksum, size = flags & 0x80, flags & 0x40, flags & 0x07
    count, roots, absent = reader.number(size), reader.number(size), reader.number(size)
    reader.take(offset_size)
    root = reader.number(size)
    if roots != 1 or absent or not root < count <= _MAX_CELLS:
        raise ValueError("not a bag with one root")
    reader.take(count * offset_size if has_index else 0)
    stored = [_read(reader, size) for _ in range(count)]
    reader.take(4 if has_checksum else 0)
    reader.end()
    return _link(stored)[root]


def _read(reader: _Reader, size: int) -> _Stored:
    descriptors = reader.take(2)
    first, second = descriptors
    refs = first & 0x07
    data = reader.take((second + 1) // 2)
    if refs > _MAX_REFS or first & _HAS_HASHES_OR_LEVEL:
        raise ValueError("no cell of a wallet")
    if first & _EXOTIC and (refs or second * 4 != _LIBRARY_BITS or data[0] != _LIBRARY):
        raise ValueError("an exotic cell, but no library")
    return _Stored(descriptors, data, tuple(reader.number(size) for _ in range(refs)))


def _link(stored: list[_Stored]) -> dict[int, Cell]:
    cells: dict[int, Cell] = {}
    for index in reversed(range(len(stored))):
        one = stored[index]
        if any(ref not in cells for ref in one.refs):
            raise ValueError("a cell refers backwards")
        refs = tuple(cells[ref] for ref in one.refs)
        representation = (
            one.descriptors
            + one.data
            + b"".join(ref.depth.to_bytes(2, "big") for ref in refs)
            + b"".join(ref.hash for ref in refs)
        )
        cells[index] = Cell(
            data=one.data,
            bits=_count_bits(one),
            refs=refs,
            hash=hashlib.sha256(representation).digest(),
            depth=max((ref.depth + 1 for ref in refs), default=0),
        )
    return cells


def _count_bits(one: _Stored) -> int:
    bits = len(one.data) * 8
    if one.descriptors[1] % 2 == 0:
        return bits
    last = one.data[-1]
    if not last:
        raise ValueError("the completion tag is missing")
    return bits - (last & -last).bit_length()
