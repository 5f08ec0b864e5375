"""What every HTTP request passes: its correlation id and log line, where it came from, whose pages
may call the API, and the admin's own policy.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable

from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from . import correlation, origin

logger = logging.getLogger("advertmarket.http")

GetResponse = Callable[[HttpRequest], HttpResponse]

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": (
        f"Authorization, Content-Type, Idempotency-Key, {correlation.HEADER}"
    ),
    "Access-Control-Max-Age": "7200",
}
_EXPOSED = (
    "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, Idempotent-Replayed, "
    f"{correlation.HEADER}"
)


def correlation_middleware(get_response: GetResponse) -> GetResponse:
    """Bind the request's correlation id (a new one unless the header holds a UUID); answer it."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = correlation.parse(request.headers.get(correlation.HEADER))
        with correlation.bind(given or uuid.uuid4()) as correlation_id:
            started = time.monotonic()
            response = get_response(request)
            response[correlation.HEADER] = str(correlation_id)
            match = request.resolver_match
            is_probe = request.path.startswith("/actuator/") and response.status_code == 200
            logger.log(
                logging.DEBUG if is_probe else logging.INFO,
                "request answered",
                extra={
                    "method": request.method,
                    "route": match.route if match else None,
                    "status": response.status_code,
                    "duration_ms": round((time.monotonic() - started) * 1000, 1),
                },
            )
            return response

    return middleware


def origin_middleware(get_response: GetResponse) -> GetResponse:
    """Bind the address that the request came from."""

    def middleware(request: HttpRequest) -> HttpResponse:
        with origin.bind(origin.of(request)):
            return get_response(request)

    return middleware


def cors_middleware(get_response: GetResponse) -> GetResponse:
    """Let the Mini App's pages, and those of no other origin, call the API.

    Whoever asks in advance has no token yet, so that is answered before anybody is asked for one.
    https://fetch.spec.whatwg.org/#http-cors-protocol
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/api/"):
            return get_response(request)
        in_advance = (
            request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        )
        response = HttpResponse(status=204) if in_advance else get_response(request)
        patch_vary_headers(response, ["Origin"])
        if request.headers.get("Origin") == settings.MINI_APP_URL:
            response["Access-Control-Allow-Origin"] = settings.MINI_APP_URL
            response["Access-Control-Expose-Headers"] = _EXPOSED
            if in_advance:
                for name, value in _PREFLIGHT.items():
                    response[name] = value
        return response

    return middleware


def admin_policy_middleware(
    get_response: GetResponse,
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Allow under /admin/, and nowhere else, what the admin's theme cannot do without."""
    widened = csp_update({"script-src": [UNSAFE_EVAL], "style-src": [UNSAFE_INLINE]})
    in_admin = widened(get_response)

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return (in_admin if request.path.startswith("/admin/") else get_response)(request)

    return middleware
