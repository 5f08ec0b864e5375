"""A client of the stand-in's control plane, for tests and demos."""

from __future__ import annotations

import base64
from types import TracebackType
from typing import Any

import httpx

from sandbox.ton.faults import Kind


class OrderRefused(Exception):
    """The control plane refused an order, and why."""


class Chain:
    """The running chain at `url`. Addresses in any form; amounts in nanoTON; times in seconds."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=30)

    def __enter__(self) -> Chain:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def faucet(
        self,
        address: str,
        nano: int,
        comment: str | None = None,
        *,
        bounce: bool = False,
        source: str | None = None,
        jetton_notice: bool = False,
        mine: bool = True,
    ) -> None:
        """Give `nano` to an account, in a block of its own, or else in the next one.

        It seems to come from `source`; a jetton wallet's notice of tokens is no payment.
        """
        self._order(
            "faucet",
            address=address,
            nano=nano,
            comment=comment,
            bounce=bounce,
            source=source,
            jetton_notice=jetton_notice,
            mine=mine,
        )

    def advance(self, seconds: int) -> int:
        """Move the chain's clock forward and make a block; return its time (Unix, seconds)."""
        return int(self._order("advance", seconds=seconds)["now"])

    def now(self) -> int:
        """Return the chain's time (Unix, seconds)."""
        return int(self._order("clock")["now"])

    def freeze_clock(self) -> int:
        """Let the chain's clock stand still; return its time (Unix, seconds)."""
        return int(self._order("clock", frozen=True)["now"])

    def unfreeze_clock(self) -> int:
        """Let the chain's clock run on from where it stands; return its time."""
        return int(self._order("clock", frozen=False)["now"])

    def mine(self, blocks: int = 1) -> int:
        """Make blocks at once; return the number of the last one."""
        return int(self._order("mine", blocks=blocks)["seqno"])

    def fault(
        self,
        method: str,
        kind: Kind,
        *,
        times: int = 1,
        status: int = 504,
        error: str = "LITE_SERVER_NETWORK: timeout",
        retry_after_s: int | None = None,
        blocks: int = 2,
        delay_ms: int = 0,
    ) -> None:
        """Let the next `times` calls of `method` (`*`: any) go wrong; see `faults.Kind`."""
        self._order(
            "fault",
            method=method,
            kind=kind,
            times=times,
            status=status,
            error=error,
            retry_after_s=retry_after_s,
            blocks=blocks,
            delay_ms=delay_ms,
        )

    def rate_limited(self, method: str, *, times: int = 1, retry_after_s: int = 1) -> None:
        """Let the next calls be answered 429, with Retry-After."""
        self.fault(
            method,
            "error",
            times=times,
            status=429,
            error="Ratelimit exceed",
            retry_after_s=retry_after_s,
        )

    def due_faults(self) -> int:
        """Return how many calls will yet go wrong: none, once every ordered fault has happened."""
        return int(self._order("due_faults")["calls"])

    def clear_faults(self) -> None:
        """Forget the faults that have not happened yet."""
        self._order("clear_faults")

    def broadcasts(self) -> list[float]:
        """Return when each external message came to the API, whatever became of it, in order.

        Unix time in seconds, by the system's clock and not the chain's.
        """
        return [float(at) for at in self._order("broadcasts")["at"]]

    def rewrap(self, *, address: str | None = None, boc: bytes | None = None) -> str:
        """Land a signed body inside another external message; return its plain hash (hex).

        The body is that of `boc`, or of the last pending message (to `address`), which the
        other one replaces.
        """
        encoded = None if boc is None else base64.b64encode(boc).decode()
        return str(self._order("rewrap", address=address, boc=encoded)["message_hash"])

    def balance(self, address: str) -> int:
        """Return what an account holds, in nanoTON."""
        return int(self.state(address)["balance_nano"])

    def transactions(self, address: str) -> list[dict[str, Any]]:
        """Return an account's transactions, oldest first, shaped as v3 does."""
        found: list[dict[str, Any]] = self.state(address)["transactions"]
        return found

    def state(self, address: str) -> dict[str, Any]:
        """Return an account's balance, status, pending messages (hex hashes), transactions."""
        return self._order("state", address=address)

    def totals(self) -> dict[str, int]:
        """Return minted, held, in flight and paid in fees: the first is the sum of the others."""
        return self._order("totals")

    def _order(self, order: str, **parameters: Any) -> dict[str, Any]:
        answer = self._http.post(f"/sim/{order}", json=parameters)
        body: dict[str, Any] = answer.json()
        if answer.is_error:
            raise OrderRefused(body["error"])
        return body
