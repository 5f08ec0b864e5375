"""TON Connect's proof that somebody holds the key of a wallet's address.

https://docs.ton.org/v3/guidelines/ton-connect/verifying-signed-in-users
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from advertmarket.environment import Network
from advertmarket.errors import Code, DomainError
from advertmarket.ton_address import parse_address

from .cells import Cell, parse_bag

MAX_CLOCK_DIFFERENCE = timedelta(minutes=15)
"""Either way: the payload is what makes a proof fresh, and phones' clocks go wrong."""

_NETWORK_IDS: dict[Network, str] = {"mainnet": "-239", "testnet": "-3"}
_KEY_BITS = 256
_CODE_AND_DATA = 0b00110
"""The bits of a state init that has code and data and nothing else, as every wallet's."""

_KEY_AT = {
    bytes.fromhex(code_hash): key_at
    for key_at, code_hashes in {
        32: (
            "a0cfc2c48aee16a271f2cfc0b7382d81756cecb1017d077faaab3bb602f6868c",  # v1r1
            "d4902fcc9fad74698fa8e353220a68da0dcf72e32bcb2eb9ee04217c17d3062c",  # v1r2
            "587cc789eff1c84f46ec3797e45fc809a14ff5ae24f1e0c7a6a99cc9dc9061ff",  # v1r3
            "5c9a5e68c108e18721a07c42f9956bfb39ad77ec6d624b60c576ec88eee65329",  # v2r1
            "fe9530d3243853083ef2ef0b4c2908c0abf6fa1c31ea243aacaa5bf8c7d753f1",  # v2r2
        ),
        64: (
            "b61041a58a7980b946e8fb9e198e3c904d24799ffa36574ea4251c41a566f581",  # v3r1
            "84dafa449f98a6987789ba232358072bc0f76dc4524002a5d0918b9a75d2d599",  # v3r2
            "64dd54805522c5be8a9db59cea0105ccf0d08786ca79beb8cb79e880a8d7322d",  # v4r1
            "feb5ff6820e2ff0d9483e7e0d62c817d846789fb4ae580c878866d959dabd5c0",  # v4r2
        ),
        65: ("20834b7b72b112147e1b2fb457b84e74d1a30f04f737d4f62a668e9552d2b72f",),  # v5r1
        113: ("f3d7ca53493deedac28b381986a849403cbac3d2c584779af081065af0ac4b93",),  # v5 beta
    }.items()
    for code_hash in code_hashes
}
"""The hash of each known wallet's code: from which bit on its data holds the public key.

None whose key can change (as in Telegram's own wallet): a state init tells the first key only.
"""


class InvalidTonProof(DomainError):
    """The proof does not show that its sender holds the address."""

    code: ClassVar[Code] = Code.TON_PROOF_INVALID
    message = _("The wallet's proof is not valid: {problem}.")

    def __init__(self, problem: Promise) -> None:
        super().__init__(problem=problem)


@dataclass(frozen=True)
class TonProof:
    """What a wallet answered, as it did: nothing of it is trusted yet."""

    address: str
    network: str
    public_key: str
    timestamp: int
    domain: str
    domain_length: int
    payload: str
    signature: str
    state_init: str


def verify_ton_proof(proof: TonProof, *, domain: str, network: Network, at: datetime) -> str:
    """Return the raw address that was proved; whether the payload is ours is the caller's business.

    Raises:
        InvalidTonAddress: it is none of our network.
        InvalidTonProof: for another app, of another network, too old or ahead by more than 15
            minutes, from an unknown kind of wallet, or not signed with the address's key.
    """
    address = parse_address(proof.address, network=network)
    if proof.network != _NETWORK_IDS[network]:
        raise InvalidTonProof(_("it is of another TON network"))
    if proof.domain != domain or proof.domain_length != len(domain.encode()):
        raise InvalidTonProof(_("it was made for another app"))
    if abs(proof.timestamp - at.timestamp()) > MAX_CLOCK_DIFFERENCE.total_seconds():
        raise InvalidTonProof(_("its time is not the present; check your device's clock"))
    public_key = _public_key(_read_state_init(proof.state_init), address)
    if proof.public_key.lower() != public_key.hex():
        raise InvalidTonProof(_("its key is not the wallet's"))
    try:
        signature = base64.b64decode(proof.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _signed(proof, address))
    except (ValueError, InvalidSignature):
        raise InvalidTonProof(_("its signature is wrong")) from None
    return address


def _read_state_init(text: str) -> Cell:
    try:
        return parse_bag(base64.b64decode(text, validate=True))
    except ValueError:
        raise InvalidTonProof(_("its state init cannot be read")) from None


def _public_key(state_init: Cell, address: str) -> bytes:
    if state_init.hash.hex() != address.partition(":")[2]:
        raise InvalidTonProof(_("its state init is not that of the address"))
    unknown = InvalidTonProof(_("this kind of wallet cannot be checked; give its address by hand"))
    shape = (state_init.bits, len(state_init.refs))
    if shape != (5, 2) or state_init.number(at=0, bits=5) != _CODE_AND_DATA:
        raise unknown
    code, data = state_init.refs
    try:
        key = data.number(at=_KEY_AT[code.hash], bits=_KEY_BITS)
    except (KeyError, ValueError):
        raise unknown from None
    return key.to_bytes(_KEY_BITS // 8, "big")


def _signed(proof: TonProof, address: str) -> bytes:
    workchain, account = address.split(":")
    domain = proof.domain.encode()
    message = (
        b"ton-proof-item-v2/"
        + int(workchain).to_bytes(4, "big", signed=True)
        + bytes.fromhex(account)
        + len(domain).to_bytes(4, "little")
        + domain
        + proof.timestamp.to_bytes(8, "little")
        + proof.payload.encode()
    )
    return hashlib.sha256(b"\xff\xffton-connect" + hashlib.sha256(message).digest()).digest()
