"""A Mini App user: logs in with Telegram's launch data and speaks the REST API, nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

POLL_S = 0.5


class ApiRefused(Exception):
    """The API answered with a problem document."""


class TookTooLong(Exception):
    """What was waited for did not come about in time."""


class ApiUser:
    """One person's session with the product's REST API."""

    def __init__(self, web_url: str, init_data: str) -> None:
        self._http = httpx.Client(base_url=f"{web_url}/api/v1", timeout=30)
        session = self.post("/auth/login", {"initData": init_data})
        self._http.headers["Authorization"] = f"Bearer {session['token']}"

    @property
    def token(self) -> str:
        """The Authorization header of this session."""
        return str(self._http.headers["Authorization"])

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str) -> Any:
        """GET a path under /api/v1."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """POST once, under an idempotency key of its own."""
        return self._ask("POST", path, body or {})

    def put(self, path: str, body: dict[str, Any]) -> Any:
        """PUT a body."""
        return self._ask("PUT", path, body)

    def wait_for(
        self, path: str, ready: Callable[[Any], bool], *, what: str, timeout_s: float
    ) -> Any:
        """Ask again until the answer is `ready`.

        Raises:
            TookTooLong: it was not, in `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self.get(path)
            if ready(answer):
                return answer
            if time.monotonic() > deadline:
                raise TookTooLong(f"{what}: still {answer}")
            time.sleep(POLL_S)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """Ask, and ask again with the same key while the product is away or says "later"."""
        headers = {"Idempotency-Key": str(uuid4())} if method == "POST" else {}
        deadline = time.monotonic() + 60
        while True:
            try:
                answer = self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError as away:
                if time.monotonic() > deadline:
                    raise TookTooLong(f"{method} {path}: {away!r}") from away
                time.sleep(POLL_S)
                continue
            if answer.is_success:
                return answer.json() if answer.content else None
            later = answer.status_code in (409, 429, 500, 502, 503) and _is_passing(answer)
            if not later or time.monotonic() > deadline:
                raise ApiRefused(f"{method} {path}: {answer.status_code} {answer.text}")
            time.sleep(min(float(answer.headers.get("Retry-After", POLL_S)), 2))


def _is_passing(answer: httpx.Response) -> bool:
    return answer.status_code != 409 or "IDEMPOTENCY_IN_PROGRESS" in answer.text
