"""What a button about a deal carries: an action, the deal, and the version that was shown."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from uuid import UUID

MAX_BYTES = 64
"""Telegram's limit: https://core.telegram.org/bots/api#inlinekeyboardbutton."""

_DATA = re.compile(r"([a-z_]+):([A-Za-z0-9_-]{22}):([0-9]{1,10})", re.ASCII)


class InvalidCallback(ValueError):
    """This is not what `pack` made."""


@dataclass(frozen=True)
class DealCallback:
    """A press of a button that stood under a message about version `version` of a deal."""

    action: str
    deal_id: UUID
    version: int


def pack(action: str, deal_id: UUID, version: int) -> str:
    """Return callback data `action:deal:version`; `action` is lower-case words with "_".

    Raises:
        InvalidCallback: it would be too long, or would not be read back.
    """
    encoded = base64.urlsafe_b64encode(deal_id.bytes).rstrip(b"=").decode()
    data = f"{action}:{encoded}:{version}"
    if len(data.encode()) > MAX_BYTES or not _DATA.fullmatch(data):
        raise InvalidCallback(data)
    return data


def unpack(data: str) -> DealCallback:
    """Return what `pack` was given.

    Raises:
        InvalidCallback: anybody can send anything; this was not ours.
    """
    match = _DATA.fullmatch(data)
    if match is None:
        raise InvalidCallback(data)
    action, encoded, version = match.groups()
    try:
        deal_id = UUID(bytes=base64.b64decode(f"{encoded}==", altchars=b"-_", validate=True))
    except (binascii.Error, ValueError) as error:
        raise InvalidCallback(data) from error
    return DealCallback(action, deal_id, int(version))
