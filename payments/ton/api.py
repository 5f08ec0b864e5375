"""What every door to the chain has in common: bounded calls, the key's rate, a breaker.

Every call is bounded (connect 5 s, read 30 s), counted against the key's rate across all processes,
and guarded by a breaker. Reads are tried again on 429, 5xx and time-outs; `send` never is, since
its time-out means "unknown", not "failed".
"""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import httpx
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel

from advertmarket.errors import Code, DomainError
from advertmarket.ratelimit import RedisAway, take

from .breaker import Breaker
from .metrics import BREAKER_OPEN, CALLS, DURATION_S
from .schema import Block, ChainTransaction, Fees, WalletState
from .wallet import FeeQuestion

M = TypeVar("M", bound=BaseModel)

_PAYOUT_SHARE_RPS = 3
_READ_TRIES = 4
_HURRIED_S = 1.9
_RETRY_AFTER_MAX_S = 10
_ANSWERED = ("LITE_SERVER_UNKNOWN", "LITE_SERVER_NOTREADY")
"""What a node says of a message or a block, with status 500: the service itself works."""


class TonUnavailable(DomainError):
    """TON Center did not give an answer that can be relied on; ask again later."""

    code: ClassVar[Code] = Code.SERVICE_UNAVAILABLE
    message = _("The TON network cannot be asked right now: {reason}.")


class SearchUnfinished(TonUnavailable):
    """So much happened there since that one look does not see it all; the next one goes on."""


class TonApi(ABC):
    """TON Center's API in one of its versions: what payouts and the stock of wallets ask of it.

    One per process. `for_payouts` draws on the part of the rate that reading cannot use up. One
    that is `hurried` gives up after 1.9 s, and is not counted against the rate: it looks whether
    anybody answers.
    """

    _path: ClassVar[str]
    _broadcast: ClassVar[str]
    """The method that sends a message."""

    def __init__(self, *, for_payouts: bool = False, hurried: bool = False) -> None:
        self._http = httpx.Client(
            base_url=settings.TON_API_URL + self._path,
            headers={"X-API-Key": settings.TON_API_KEY},
            timeout=httpx.Timeout(_HURRIED_S) if hurried else httpx.Timeout(30, connect=5),
        )
        self._hurried = hurried
        self._breaker = Breaker()
        share = min(_PAYOUT_SHARE_RPS, settings.TON_API_RPS / 2)
        self._rate = share if for_payouts else settings.TON_API_RPS - share
        self._bucket = "ton:payouts" if for_payouts else "ton:reading"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @abstractmethod
    def head(self) -> Block:
        """Return the last masterchain block that can be asked about."""

    @abstractmethod
    def received(self, msg_hash: str, *, by: str, after_lt: int) -> ChainTransaction | None:
        """Return the chain transaction in which a raw address received a message, if there is one.

        The message is known by its hash (hex) and was sent at `after_lt`.

        Raises:
            SearchUnfinished: it was not found so far; asked again, this client looks further.
        """

    @abstractmethod
    def wallet_state(self, address: str) -> WalletState:
        """Return seqno, balance (nanoTON) and status of a raw address."""

    @abstractmethod
    def wallet_states(self, addresses: Sequence[str]) -> dict[str, WalletState]:
        """Return balance (nanoTON) and last lt of raw addresses, 50 at most, by address.

        All there is to say of one that nobody has used is 0. Seqnos are not asked for.
        """

    @abstractmethod
    def is_active(self, address: str) -> bool:
        """Return whether a contract is deployed at a raw address."""

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
        is our turn, and again as the last thing before the broadcast; it may raise.

        Raises:
            TonUnavailable: there was no answer: the message may have landed all the same.
        """
        response = self._ask(
            "POST",
            self._broadcast,
            refuse=refuse,
            json={"boc": boc_base64},
            extensions=_before_the_first_byte(refuse),
        )
        if response.status_code == httpx.codes.OK:
            return "ok"
        return f"{response.status_code} {_error_text(response)}"

    def _result(self, answer: Any) -> Any:
        """What an answer says, out of its envelope."""
        return answer

    def _read(
        self, model: type[M], method: str, params: dict[str, Any] | None = None, json: Any = None
    ) -> M:
        problem = ""
        for attempt in range(1 if self._hurried else _READ_TRIES):
            if attempt:
                time.sleep(random.uniform(0.2, 0.5) * 2**attempt)  # noqa: S311 - jitter
            try:
                response = self._ask("POST" if json else "GET", method, params=params, json=json)
            except TonUnavailable as error:
                problem = str(error.facts["reason"])
                continue
            if response.status_code == httpx.codes.OK:
                return validated(model, self._result(_json(response)))
            problem = f"{response.status_code} {_error_text(response)}"
            if response.status_code == httpx.codes.TOO_MANY_REQUESTS and not self._hurried:
                time.sleep(_retry_after_s(response))
            elif response.status_code < 500:
                break
        raise TonUnavailable(reason=f"{method}: {problem}")

    def _ask(
        self, verb: str, method: str, *, refuse: Callable[[], None] = lambda: None, **kwargs: Any
    ) -> httpx.Response:
        if not self._breaker.allows():
            BREAKER_OPEN.set(1)
            raise TonUnavailable(reason="its breaker is open after many failures")
        if not self._hurried:
            self._wait_for_turn()
        refuse()
        try:
            with DURATION_S.labels(method).time():
                response = self._http.request(verb, method, **kwargs)
        except httpx.HTTPError as error:
            self._count(method, type(error).__name__, ok=False)
            raise TonUnavailable(reason=f"{method}: {type(error).__name__}") from error
        served = response.status_code < 500 or any(word in response.text for word in _ANSWERED)
        self._count(method, str(response.status_code), ok=served)
        return response

    def _count(self, method: str, outcome: str, *, ok: bool) -> None:
        CALLS.labels(method, outcome).inc()
        self._breaker.record(ok=ok)
        BREAKER_OPEN.set(0 if self._breaker.allows() else 1)

    def _wait_for_turn(self) -> None:
        """Wait for a place in the key's rate; without Redis, keep a slow pace of one's own."""
        try:
            while wait_s := take(self._bucket, rate_per_s=self._rate, burst=int(self._rate) or 1):
                time.sleep(wait_s)
        except RedisAway:
            time.sleep(1 / self._rate)


def _before_the_first_byte(check: Callable[[], None]) -> dict[str, Any]:
    """Return what makes httpx call `check` once the connection stands: to make one takes seconds.

    https://www.python-httpx.org/advanced/extensions/#trace
    """

    def trace(event: str, _details: Any) -> None:
        if event == "http11.send_request_headers.started":
            check()

    return {"trace": trace}


def validated(model: type[M], answer: Any) -> M:
    """Return an answer as its model.

    Raises:
        TonUnavailable: it makes no sense.
    """
    try:
        return model.model_validate(answer)
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise TonUnavailable(reason=f"an answer that makes no sense: {error}") from error


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise TonUnavailable(reason="an answer that makes no sense: not JSON") from error


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
