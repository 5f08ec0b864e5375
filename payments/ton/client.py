"""TON Center's HTTP API v3: the only door to the chain.

Every call is bounded (connect 5 s, read 30 s), counted against the key's rate across all processes,
and guarded by a breaker. Reads are tried again on 429, 5xx and time-outs; `send` never is, since
its time-out means "unknown", not "failed".
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import httpx
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from prometheus_client import Counter, Gauge
from pydantic import BaseModel

from advertmarket.errors import Code, DomainError
from advertmarket.ratelimit import RedisAway, take

from .breaker import Breaker
from .schema import (
    AddressState,
    Block,
    ChainTransaction,
    ChainTransactions,
    Fees,
    Head,
    Page,
    Shown,
    WalletState,
)
from .wallet import FeeQuestion

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", Page, ChainTransactions)

PAGE = 1000
"""The most chain transactions that one answer may hold."""

_PAYOUT_SHARE_RPS = 3
_READ_TRIES = 4
_RETRY_AFTER_MAX_S = 10
_CALLS = Counter("ton_calls_total", "Calls to TON Center", ["method", "outcome"])
_BREAKER_OPEN = Gauge("ton_breaker_open", "1 while calls to TON Center are refused unasked")


class TonUnavailable(DomainError):
    """TON Center did not give an answer that can be relied on; ask again later."""

    code: ClassVar[Code] = Code.SERVICE_UNAVAILABLE
    message = _("The TON network cannot be asked right now: {reason}.")


class TonClient:
    """One per process. `for_payouts` draws on the part of the rate that reading cannot use up."""

    def __init__(self, *, for_payouts: bool = False) -> None:
        self._http = httpx.Client(
            base_url=f"{settings.TON_API_URL}/api/v3/",
            headers={"X-API-Key": settings.TON_API_KEY},
            timeout=httpx.Timeout(30, connect=5),
        )
        self._breaker = Breaker()
        share = min(_PAYOUT_SHARE_RPS, settings.TON_API_RPS / 2)
        self._rate = share if for_payouts else settings.TON_API_RPS - share
        self._bucket = "ton:payouts" if for_payouts else "ton:reading"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def head(self) -> Block:
        """Return the last masterchain block that the indexer has."""
        return self._read(Head, "masterchainInfo").last

    def block_chain_transactions(self, seqno: int) -> list[Shown]:
        """Return every chain transaction that masterchain block `seqno` committed, by lt.

        The list of a block that the indexer has not indexed is empty; a real one holds at least
        the masterchain's own. `whole` reads those that matter.
        """
        return self._pages(Page, "transactionsByMasterchainBlock", {"seqno": seqno})

    def whole(self, shown: Shown) -> ChainTransaction:
        """Return all that we need of a chain transaction.

        Raises:
            TonUnavailable: it makes no sense.
        """
        return _validated(ChainTransaction, shown.model_dump(mode="json"))

    def account_chain_transactions(
        self, addresses: Sequence[str], *, after_lt: int
    ) -> list[ChainTransaction]:
        """Return the chain transactions of raw addresses later than `after_lt`, by lt."""
        return self._pages(
            ChainTransactions,
            "transactions",
            {"account": list(addresses), "start_lt": after_lt + 1},
        )

    def received(self, msg_hash: str) -> ChainTransaction | None:
        """Return the recipient's chain transaction of a message (hex hash), once there is one."""
        found = self._read(
            ChainTransactions,
            "transactionsByMessage",
            {"msg_hash": msg_hash, "direction": "in", "limit": 1},
        ).transactions
        return found[0] if found else None

    def wallet_state(self, address: str) -> WalletState:
        """Return seqno, balance (nanoTON) and status of a raw address."""
        return self._read(WalletState, "walletInformation", {"address": address, "use_v2": "false"})

    def is_active(self, address: str) -> bool:
        """Return whether a contract is deployed at a raw address."""
        state = self._read(
            AddressState, "addressInformation", {"address": address, "use_v2": "false"}
        )
        return state.status == "active"

    def estimate_fee(self, address: str, question: FeeQuestion) -> int:
        """Return the emulated fee of a transfer in nanoTON, accrued storage included."""
        answer = self._read(
            Fees,
            "estimateFee",
            json={
                "address": address,
                "body": question.body,
                "init_code": question.init_code,
                "init_data": question.init_data,
                "ignore_chksig": True,
            },
        )
        return answer.source_fees.total_nano

    def send(self, boc_base64: str, *, refuse: Callable[[], None] = lambda: None) -> str:
        """Broadcast a signed message once and return what was answered, for the record.

        "ok" does not mean accepted, and an error does not mean dropped. `refuse` is called when it
        is our turn, as the last thing before the broadcast, and may raise.

        Raises:
            TonUnavailable: there was no answer: the message may have landed all the same.
        """
        response = self._ask("POST", "message", refuse=refuse, json={"boc": boc_base64})
        if response.status_code == httpx.codes.OK:
            return "ok"
        return f"{response.status_code} {_error_text(response)}"

    def _pages(self, answer: type[P], method: str, params: dict[str, Any]) -> list[Any]:
        found: list[Any] = []
        while True:
            place = {"limit": PAGE, "offset": len(found), "sort": "asc"}
            page = self._read(answer, method, {**params, **place}).transactions
            found += page
            if len(page) < PAGE:
                return found

    def _read(
        self, answer: type[M], method: str, params: dict[str, Any] | None = None, json: Any = None
    ) -> M:
        problem = ""
        for attempt in range(_READ_TRIES):
            if attempt:
                time.sleep(random.uniform(0.2, 0.5) * 2**attempt)  # noqa: S311 - jitter
            try:
                response = self._ask("POST" if json else "GET", method, params=params, json=json)
            except TonUnavailable as error:
                problem = str(error.facts["reason"])
                continue
            if response.status_code == httpx.codes.OK:
                return _parsed(answer, response)
            problem = f"{response.status_code} {_error_text(response)}"
            if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
                time.sleep(_retry_after_s(response))
            elif response.status_code < 500:
                break
        raise TonUnavailable(reason=f"{method}: {problem}")

    def _ask(
        self, verb: str, method: str, *, refuse: Callable[[], None] = lambda: None, **kwargs: Any
    ) -> httpx.Response:
        if not self._breaker.allows():
            _BREAKER_OPEN.set(1)
            raise TonUnavailable(reason="its breaker is open after many failures")
        self._wait_for_turn()
        refuse()
        try:
            response = self._http.request(verb, method, **kwargs)
        except httpx.HTTPError as error:
            self._count(method, type(error).__name__, ok=False)
            raise TonUnavailable(reason=f"{method}: {type(error).__name__}") from error
        served = response.status_code < 500 or "LITE_SERVER_UNKNOWN" in response.text
        self._count(method, str(response.status_code), ok=served)
        return response

    def _count(self, method: str, outcome: str, *, ok: bool) -> None:
        _CALLS.labels(method, outcome).inc()
        self._breaker.record(ok=ok)
        _BREAKER_OPEN.set(0 if self._breaker.allows() else 1)

    def _wait_for_turn(self) -> None:
        """Wait for a place in the key's rate; without Redis, keep a slow pace of one's own."""
        try:
            while wait_s := take(self._bucket, rate_per_s=self._rate, burst=int(self._rate) or 1):
                time.sleep(wait_s)
        except RedisAway:
            time.sleep(1 / self._rate)


@functools.cache
def reading() -> TonClient:
    """Return this process's client for reading the chain."""
    return TonClient()


@functools.cache
def for_payouts() -> TonClient:
    """Return this process's client for payouts."""
    return TonClient(for_payouts=True)


def _parsed(model: type[M], response: httpx.Response) -> M:
    try:
        answer = response.json()
    except ValueError as error:
        raise TonUnavailable(reason="an answer that makes no sense: not JSON") from error
    return _validated(model, answer)


def _validated(model: type[M], answer: Any) -> M:
    try:
        return model.model_validate(answer)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise TonUnavailable(reason=f"an answer that makes no sense: {error}") from error


def _retry_after_s(response: httpx.Response) -> float:
    asked = response.headers.get("Retry-After", "")
    return min(int(asked), _RETRY_AFTER_MAX_S) if asked.isdecimal() else 1


def _error_text(response: httpx.Response) -> str:
    try:
        answer = response.json()
    except ValueError:
        answer = None
    text = answer.get("error", "") if isinstance(answer, dict) else response.text
    return str(text)[:200].replace("\n", " ")
