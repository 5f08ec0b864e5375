"""Which wallet a contract's code is, and where its data keeps seqno and wallet id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.ton.accounts import AccountState

# Code hashes of the wallets that TON Center knows, by their published code.
_TYPES = {
    "a0cfc2c48aee16a271f2cfc0b7382d81756cecb1017d077faaab3bb602f6868c": "wallet v1 r1",
    "d4902fcc9fad74698fa8e353220a68da0dcf72e32bcb2eb9ee04217c17d3062c": "wallet v1 r2",
    "587cc789eff1c84f46ec3797e45fc809a14ff5ae24f1e0c7a6a99cc9dc9061ff": "wallet v1 r3",
    "5c9a5e68c108e18721a07c42f9956bfb39ad77ec6d624b60c576ec88eee65329": "wallet v2 r1",
    "fe9530d3243853083ef2ef0b4c2908c0abf6fa1c31ea243aacaa5bf8c7d753f1": "wallet v2 r2",
    "b61041a58a7980b946e8fb9e198e3c904d24799ffa36574ea4251c41a566f581": "wallet v3 r1",
    "84dafa449f98a6987789ba232358072bc0f76dc4524002a5d0918b9a75d2d599": "wallet v3 r2",
    "64dd54805522c5be8a9db59cea0105ccf0d08786ca79beb8cb79e880a8d7322d": "wallet v4 r1",
    "feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0": "wallet v4 r2",
    "20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f": "wallet v5 r1",
}


@dataclass(frozen=True)
class Wallet:
    """A wallet contract's public face; v1 and v2 have no wallet id."""

    type: str
    seqno: int
    wallet_id: int | None
    is_signature_allowed: bool | None


def wallet_of(state: AccountState) -> Wallet | None:
    """Read a wallet's data; None if the account is no wallet that TON Center knows."""
    code: Any = state.code
    if code is None or state.data is None:
        return None
    name = _TYPES.get(bytes(code.hash).hex())
    if name is None:
        return None
    data = state.data.begin_parse()
    signature_allowed = bool(data.load_bit()) if name.startswith("wallet v5") else None
    seqno = int(data.load_uint(32))
    has_id = not name.startswith(("wallet v1", "wallet v2"))
    return Wallet(name, seqno, int(data.load_uint(32)) if has_id else None, signature_allowed)
