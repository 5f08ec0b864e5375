"""A plain caller of the stand-in's HTTP API, and small readers of what it answers."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import httpx

from sandbox.ton.control import Chain

TON = 10**9


@dataclass(frozen=True)
class Failure:
    """An error answer."""

    status: int
    body: dict[str, Any]
    headers: httpx.Headers

    @property
    def error(self) -> str:
        """What the API said."""
        return str(self.body["error"])


class Api:
    """Calls of both versions; an error answer is returned as `Failure`."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        headers = {"X-API-Key": api_key} if api_key else {}
        self._http = httpx.Client(base_url=f"{url}/api/", headers=headers, timeout=30)

    def v2(self, method: str, **params: Any) -> Any:
        """GET a v2 method and return its result."""
        return self._result(self._http.get(f"v2/{method}", params=params))

    def v2_post(self, method: str, **params: Any) -> Any:
        """POST a v2 method and return its result."""
        return self._result(self._http.post(f"v2/{method}", json=params))

    def v3(self, method: str, **params: Any) -> Any:
        """GET a v3 method."""
        return self._answer(self._http.get(f"v3/{method}", params=params))

    def v3_post(self, method: str, **params: Any) -> Any:
        """POST a v3 method."""
        return self._answer(self._http.post(f"v3/{method}", json=params))

    def send(self, boc: bytes) -> Any:
        """Send an external message (v2)."""
        return self.v2_post("sendBocReturnHash", boc=base64.b64encode(boc).decode())

    def transactions(self, address: str, **params: Any) -> list[dict[str, Any]]:
        """Return an account's transactions (v3), oldest first."""
        answer = self.v3("transactions", account=address, limit=1000, sort="asc", **params)
        found: list[dict[str, Any]] = answer["transactions"]
        return found

    def block_transactions(self, seqno: int) -> list[dict[str, Any]]:
        """Return a masterchain block's transactions (v3), by logical time."""
        answer = self.v3("transactionsByMasterchainBlock", seqno=seqno, limit=1000, sort="asc")
        found: list[dict[str, Any]] = answer["transactions"]
        return found

    def seqno(self, address: str) -> int:
        """Return a wallet's seqno (v2), 0 before it is deployed."""
        return int(self.v2("getWalletInformation", address=address).get("seqno", 0))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _result(self, answer: httpx.Response) -> Any:
        body = self._answer(answer)
        if isinstance(body, Failure):
            assert body.body["ok"] is False
            assert body.body["code"] == body.status
            return body
        assert body["ok"] is True
        return body["result"]

    def _answer(self, answer: httpx.Response) -> Any:
        body = answer.json()
        if answer.is_error:
            assert body["code"] == answer.status_code
            return Failure(answer.status_code, body, answer.headers)
        return body


def soon(chain: Chain, seconds: int = 60) -> int:
    """Return a `valid_until` a minute from the chain's now."""
    return int(chain.now()) + seconds


def as_hex(base64_hash: str) -> str:
    """Return a base64 hash in hex."""
    return base64.b64decode(base64_hash).hex()
