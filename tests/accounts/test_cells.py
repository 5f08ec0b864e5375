"""Bags of cells are read as strangers' code reads them; else there is a ValueError, always."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core import Cell as StrangersCell
from pytoniq_core import begin_cell
from ton_core.contrib.contracts.codes import CONTRACT_CODES

from accounts.cells import parse_bag

CODES = sorted(CONTRACT_CODES.items(), key=lambda item: str(item[0]))


@pytest.mark.parametrize("code", [code for _, code in CODES], ids=[str(name) for name, _ in CODES])
def test_contracts_codes_have_the_hashes_that_strangers_compute(code: str) -> None:
    bag = bytes.fromhex(code)

    assert parse_bag(bag).hash == StrangersCell.one_from_boc(bag).hash


def trees() -> st.SearchStrategy[Any]:
    bits = st.text("01", max_size=200)
    leaf: st.SearchStrategy[Any] = st.tuples(bits, st.just([]))
    return st.recursive(leaf, lambda more: st.tuples(bits, st.lists(more, max_size=4)))


def build(tree: tuple[str, list[Any]]) -> Any:
    bits, refs = tree
    cell = begin_cell()
    for bit in bits:
        cell.store_bit(int(bit))
    for ref in refs:
        cell.store_ref(build(ref))
    return cell.end_cell()


@given(trees(), st.booleans(), st.booleans())
def test_any_tree_of_cells_is_read(
    tree: tuple[str, list[Any]], has_index: bool, has_checksum: bool
) -> None:
    theirs = build(tree)

    ours = parse_bag(theirs.to_boc(has_idx=has_index, hash_crc32=has_checksum))

    assert ours.hash == theirs.hash
    assert (ours.bits, len(ours.refs)) == (len(tree[0]), len(tree[1]))
    if tree[0]:
        assert ours.number(at=0, bits=ours.bits) == int(tree[0], 2)


def test_bits_beyond_the_end_are_refused() -> None:
    cell = parse_bag(build(("1" * 10, [])).to_boc())

    assert cell.number(at=2, bits=8) == 0xFF
    with pytest.raises(ValueError, match="too short"):
        cell.number(at=3, bits=8)


ONE_CELL = bytes.fromhex("b5ee9c72 01 01 01 01 00 04 00 0004 aabb")


@pytest.mark.parametrize(
    "bag",
    [
        b"",
        ONE_CELL[:-1],
        ONE_CELL + b"\0",
        b"\x68\xff\x65\xf3" + ONE_CELL[4:],  # the magic of an older form
        bytes.fromhex("b5ee9c72 01 01 01 02 00 04 00 00 0004 aabb"),  # two roots
        bytes.fromhex("b5ee9c72 01 01 01 01 01 04 00 0004 aabb"),  # an absent cell
        bytes.fromhex("b5ee9c72 01 01 01 01 00 04 01 0004 aabb"),  # a root that is not there
        bytes.fromhex("b5ee9c72 01 01 01 01 00 03 00 0100 00"),  # a cell that holds itself
        bytes.fromhex("b5ee9c72 01 01 01 01 00 03 00 0100 07"),  # a cell that is not there
        bytes.fromhex("b5ee9c72 01 01 01 01 00 07 00 0500 0000000000"),  # five references
        bytes.fromhex("b5ee9c72 01 01 01 01 00 04 00 0003 aa00"),  # no completion tag
        bytes.fromhex("b5ee9c72 01 01 01 01 00 04 00 2004 aabb"),  # of level 1
        bytes.fromhex("b5ee9c72 01 01 01 01 00 04 00 0804 02bb"),  # exotic, too short for a library
        bytes.fromhex("b5ee9c72 01 01 01 01 00 24 00 0842 01") + bytes(32),  # exotic: pruned
        bytes.fromhex("b5ee9c72 02 02 0101 0001 0000 0202 0000") + bytes(2 * 257),  # 257 cells
    ],
)
def test_what_is_no_bag_of_a_wallet_is_refused(bag: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever its words
        parse_bag(bag)


def test_the_one_cell_of_these_examples_is_read() -> None:
    assert parse_bag(ONE_CELL).number(at=0, bits=16) == 0xAABB


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_a_cell_or_a_value_error(noise: bytes, has_magic: bool) -> None:
    with contextlib.suppress(ValueError):
        parse_bag(ONE_CELL[:4] + noise if has_magic else noise)


V4R2 = bytes.fromhex(dict(CONTRACT_CODES)["wallet_v4r2"])
HEADER_BYTES = 12


@given(st.integers(HEADER_BYTES, len(V4R2) - 1), st.integers(1, 255))
def test_a_changed_byte_of_a_cell_changes_the_hash_or_is_refused(at: int, change: int) -> None:
    changed = bytearray(V4R2)
    changed[at] ^= change

    with contextlib.suppress(ValueError):
        assert parse_bag(bytes(changed)).hash != parse_bag(V4R2).hash


def test_a_bag_of_many_cells_ends_soon() -> None:
    """Shared cells make a tree of 4^100 leaves: read once each."""
    count = 100
    cells = b"".join(bytes([4, 0, *[n + 1] * 4]) for n in range(count - 1)) + b"\0\0"
    bag = bytes.fromhex("b5ee9c72 01 02") + bytes([count, 1, 0, 0, 0, 0]) + cells

    assert parse_bag(bag).depth == count - 1
