"""What both versions of the API write alike."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from pytoniq_core import Address

from sandbox.ton.chain import Block

MASTERCHAIN = -1
BASECHAIN = 0
GLOBAL_ID = -3
"""The test network."""


def b64(data: Any) -> str:
    """Base64 of bytes."""
    return base64.b64encode(bytes(data)).decode()


def boc(cell: Any | None) -> str:
    """Base64 of a cell's bag of cells, empty without a cell."""
    return "" if cell is None else b64(cell.to_boc())


def friendly(address: Any) -> str:
    """The bounceable user-friendly form of a raw address or `Address`."""
    if not isinstance(address, Address):
        address = Address(address)
    return str(address.to_str(True, True, True))


def shard_hash(block: Block, kind: bytes) -> bytes:
    """The root (or file) hash of the basechain block that a masterchain block holds."""
    return hashlib.sha256(kind + block.root_hash).digest()
