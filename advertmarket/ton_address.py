"""TON addresses as text: parsed once at the edge, kept raw ("0:" and 64 lower-case hex digits).

Forms: https://docs.ton.org/v3/documentation/smart-contracts/addresses/address-formats
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from .environment import Network
from .errors import Code, DomainError

_RAW = re.compile(r"(0|-1):([0-9a-fA-F]{64})", re.ASCII)
_FRIENDLY = re.compile(r"[A-Za-z0-9+/_-]{48}", re.ASCII)
_BOUNCEABLE, _NON_BOUNCEABLE, _TEST_ONLY = 0x11, 0x51, 0x80


class InvalidTonAddress(DomainError):
    """The text is no TON address that may receive money here."""

    code: ClassVar[Code] = Code.INVALID_TON_ADDRESS
    message = _("“{address}” is not usable as a TON address: {problem}.")


def parse_address(text: str, *, network: Network) -> str:
    """Return the raw form of a raw or user-friendly address.

    Raises:
        InvalidTonAddress: wrong length, alphabet or checksum, a workchain that is neither 0 nor -1,
            or an address of the other network (mainnet, testnet).
    """
    if raw := _RAW.fullmatch(text):
        return f"{raw[1]}:{raw[2].lower()}"
    if not _FRIENDLY.fullmatch(text):
        raise InvalidTonAddress(address=text[:60], problem=_("it has neither of the two forms"))
    packed = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    if binascii.crc_hqx(packed[:34], 0) != int.from_bytes(packed[34:], "big"):
        raise InvalidTonAddress(address=text, problem=_("the checksum is wrong, look for a typo"))
    tag, workchain = packed[0], int.from_bytes(packed[1:2], "big", signed=True)
    if tag & ~_TEST_ONLY not in {_BOUNCEABLE, _NON_BOUNCEABLE} or workchain not in {0, -1}:
        raise InvalidTonAddress(address=text, problem=_("its kind is unknown"))
    if bool(tag & _TEST_ONLY) != (network == "testnet"):
        raise InvalidTonAddress(address=text, problem=_("it belongs to another TON network"))
    return f"{workchain}:{packed[2:34].hex()}"


def friendly_address(raw: str, *, network: Network, bounceable: bool = False) -> str:
    """Return the user-friendly form of a raw address (`UQ…` non-bounceable, `EQ…` bounceable)."""
    workchain, account = raw.split(":")
    tag = _BOUNCEABLE if bounceable else _NON_BOUNCEABLE
    if network == "testnet":
        tag |= _TEST_ONLY
    packed = bytes([tag]) + int(workchain).to_bytes(1, "big", signed=True) + bytes.fromhex(account)
    checksum = binascii.crc_hqx(packed, 0).to_bytes(2, "big")
    return base64.urlsafe_b64encode(packed + checksum).decode()
