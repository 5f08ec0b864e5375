"""Routes a request to an API method or the control plane, through rate limit and faults."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from typing import Any

from sandbox.ton import api_v2, api_v3
from sandbox.ton.call import ApiError, Call, Params
from sandbox.ton.chain import Chain
from sandbox.ton.control_plane import ControlPlane, Refused
from sandbox.ton.faults import Fault, Faults, RateLimit
from sandbox.ton.http_server import Request, Response
from sandbox.ton.view import View, Views

_V2, _V3, _SIM = "/api/v2/", "/api/v3/", "/sim/"

BROADCASTS = frozenset({"sendBoc", "sendBocReturnHash", "message"})
"""The methods that take an external message."""


class Application:
    """The stand-in's answers."""

    def __init__(self, chain: Chain, *, indexer_lag_s: float, calls_per_s: int) -> None:
        """`calls_per_s` is the limit without an API key, ten times that with one; 0: none."""
        self._chain = chain
        self._views = Views(chain, lag_s=indexer_lag_s)
        self._faults = Faults()
        self._rate = RateLimit(calls_per_s)
        self._broadcasts_at: list[float] = []
        self._control = ControlPlane(chain, self._views, self._faults, self._broadcasts_at)

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        path = request.path.rstrip("/")
        body = _json_object(request.body)
        if body is None:
            return _failure(path, 422, "not a JSON object")
        if path.startswith(_SIM):
            return self._order(path.removeprefix(_SIM), body)
        if not path.startswith((_V2, _V3)):
            return _failure(path, 404, "Not found")
        if not self._rate.allows(_api_key(request)):
            return _failure(path, 429, "Ratelimit exceed", {"Retry-After": "1"})
        if path.startswith(_V3):
            return await self._v3(path.removeprefix(_V3), {**request.query, **body})
        if path == _V2 + "jsonRPC":
            params = body.get("params") or {}
            envelope = {"jsonrpc": "2.0", "id": str(body.get("id", ""))}
            return await self._v2(str(body.get("method")), params, envelope)
        return await self._v2(path.removeprefix(_V2), {**request.query, **body}, {})

    def _order(self, order: str, body: dict[str, Any]) -> Response:
        try:
            return Response(200, self._control.do(order, body))
        except Refused as error:
            return Response(400, {"error": str(error)})

    async def _v2(self, method: str, params: Any, envelope: dict[str, str]) -> Response:
        fault = self._faults.take(method)
        try:
            result = await self._call(api_v2.METHODS, method, params, self._views.node, fault)
        except ApiError as error:
            failure = _failure(_V2, error.code, error.message, _headers(fault))
            failure.body.update(envelope)
            return failure
        return Response(200, {"ok": True, "result": result, **envelope})

    async def _v3(self, method: str, params: Any) -> Response:
        fault = self._faults.take(method)
        try:
            result = await self._call(api_v3.METHODS, method, params, self._views.indexer, fault)
        except ApiError as error:
            return _failure(_V3, error.code, error.message, _headers(fault))
        return Response(200, result)

    async def _call(
        self, methods: Any, method: str, params: Any, view: View, fault: Fault | None
    ) -> Any:
        if method not in methods or not isinstance(params, dict):
            raise ApiError(404, f"Method not found: {method}")
        if method in BROADCASTS:
            self._broadcasts_at.append(time.time())
        kind = fault.kind if fault else None
        if fault and kind == "error":
            raise ApiError(fault.status, fault.error)
        behind = fault.blocks if fault and kind == "lagging" else 0
        call = Call(
            params=Params(params),
            chain=self._chain,
            view=view.back(behind),
            node=self._views.node.back(behind),
            swallow=kind == "swallow",
            hold_blocks=fault.blocks if fault and kind == "hold" else 0,
            unindexed=kind == "unindexed",
        )
        try:
            return methods[method](call)
        except ApiError:
            raise
        except Exception as error:
            traceback.print_exc()
            raise ApiError(500, f"{type(error).__name__}: {error}") from error
        finally:
            if fault and kind == "delay":
                await asyncio.sleep(fault.delay_ms / 1000)
            if fault and kind == "lost_answer":
                raise ApiError(fault.status, fault.error)


def _failure(path: str, code: int, error: str, headers: dict[str, str] | None = None) -> Response:
    """v3 answers `{error, code}`, v2 `{ok, error, code}`."""
    ok = {} if path.startswith(_V3) else {"ok": False}
    return Response(code, {**ok, "error": error, "code": code}, headers or {})


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _api_key(request: Request) -> str:
    in_query = request.query.get("api_key", [""])[0]
    return request.headers.get("x-api-key", in_query)


def _headers(fault: Fault | None) -> dict[str, str]:
    if fault is None or fault.retry_after_s is None:
        return {}
    return {"Retry-After": str(fault.retry_after_s)}
