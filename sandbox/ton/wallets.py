"""A person's wallet, for demos and tests: signs with tonsdk, speaks TON Center's API."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any, Literal

import httpx
from nacl.signing import SigningKey
from tonsdk.boc import Cell
from tonsdk.contract import Contract
from tonsdk.contract.wallet import WalletV3ContractR2, WalletV4ContractR2
from tonsdk.utils import Address

from sandbox.ton.messages import comment_cell, raw_address

Version = Literal["v3r2", "v4r2"]

_CONTRACTS: dict[str, Any] = {"v3r2": WalletV3ContractR2, "v4r2": WalletV4ContractR2}
_POLL_S = 0.05


class DidNotLand(Exception):
    """A transfer was sent and did not appear on the chain in time."""


class Wallet:
    """A wallet whose key comes from a seed: the same seed, the same wallet."""

    def __init__(self, seed: str, *, version: Version = "v3r2") -> None:
        public, private = _key_pair(hashlib.sha256(seed.encode()).digest())
        self._version = version
        self._contract = _CONTRACTS[version](public_key=public, private_key=private, wc=0)
        self.address = str(self._contract.address.to_string(True, True, False))
        """User-friendly, not bounceable."""
        self.raw_address = raw_address(self.address)

    def signed_transfer(
        self,
        to: str,
        nano: int,
        *,
        seqno: int,
        valid_until: int,
        comment: str = "",
        body: Any = None,
        send_mode: int = 3,
    ) -> bytes:
        """Return a signed external message of `nano` to an address, valid before a Unix time.

        The message of seqno 0 brings the contract with it. A bounceable address makes a
        bounceable transfer. A `body` (a cell) goes instead of a comment.
        """
        order = Contract.create_common_msg_info(
            Contract.create_internal_message_header(Address(to), nano),
            None,
            Cell.one_from_boc((body or comment_cell(comment)).to_boc().hex()),
        )
        signing = Cell()
        for number in (self._contract.options["wallet_id"], valid_until, seqno):
            signing.bits.write_uint(number, 32)
        if self._version == "v4r2":
            signing.bits.write_uint8(0)  # op: simple send
        signing.bits.write_uint8(send_mode)
        signing.refs.append(order)
        message = self._contract.create_external_message(signing, seqno)["message"]
        return bytes(message.to_boc(False))

    def seqno(self, chain_url: str) -> int:
        """Return the wallet's next seqno; 0 before its first transfer."""
        return int(_get(chain_url, "getWalletInformation", address=self.address).get("seqno", 0))

    def balance(self, chain_url: str) -> int:
        """Return what the wallet holds, in nanoTON."""
        return int(_get(chain_url, "getAddressBalance", address=self.address))

    def send(
        self,
        chain_url: str,
        to: str,
        nano: int,
        comment: str | None = None,
        *,
        timeout_s: float = 30,
        valid_for_s: int = 60,
    ) -> str:
        """Send `nano` and wait until it has arrived; return the hash (hex) of our message.

        Raises:
            DidNotLand: it did not in `timeout_s`.
            httpx.HTTPStatusError: the API refused it.
        """
        seqno = self.seqno(chain_url)
        before = {one["hash"] for one in _received(chain_url, to)}
        boc = self.signed_transfer(
            to,
            nano,
            seqno=seqno,
            valid_until=_block_time(chain_url) + valid_for_s,
            comment=comment or "",
        )
        sent = _post(chain_url, "sendBocReturnHash", boc=base64.b64encode(boc).decode())
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            arrived = [
                one
                for one in _received(chain_url, to)
                if one["hash"] not in before
                and one["source"]
                and raw_address(one["source"]) == self.raw_address
                and int(one["value"]) == nano
            ]
            if arrived:
                return base64.b64decode(sent["hash"]).hex()
            time.sleep(_POLL_S)
        raise DidNotLand(f"{nano} nanoTON from {self.address} to {to}, seqno {seqno}")


def _key_pair(seed: bytes) -> tuple[bytes, bytes]:
    key = SigningKey(seed)
    return bytes(key.verify_key), bytes(key) + bytes(key.verify_key)


def _received(chain_url: str, address: str) -> list[dict[str, Any]]:
    newest = _get(chain_url, "getTransactions", address=address, limit=100)
    return [one["in_msg"] for one in newest if "in_msg" in one]


def _block_time(chain_url: str) -> int:
    last = _get(chain_url, "getMasterchainInfo")["last"]
    position = {name: last[name] for name in ("workchain", "shard", "seqno")}
    return int(_get(chain_url, "getBlockHeader", **position)["gen_utime"])


def _get(chain_url: str, method: str, **parameters: Any) -> Any:
    answer = httpx.get(f"{chain_url}/api/v2/{method}", params=parameters, timeout=30)
    return answer.raise_for_status().json()["result"]


def _post(chain_url: str, method: str, **parameters: Any) -> Any:
    answer = httpx.post(f"{chain_url}/api/v2/{method}", json=parameters, timeout=30)
    return answer.raise_for_status().json()["result"]
