"""Errors as RFC 9457 problem documents, in the caller's language; nothing internal leaves."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from advertmarket import correlation
from advertmarket.errors import CATALOGUE, Code, DomainError
from advertmarket.ratelimit import RedisAway

from .fields import camel
from .limits import RateLimited

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""What a caller is told to wait when something that we need is away."""

_DRF_CODES: tuple[tuple[type[Exception], Code], ...] = (
    (exceptions.ValidationError, Code.VALIDATION_FAILED),
    (exceptions.ParseError, Code.VALIDATION_FAILED),
    (exceptions.UnsupportedMediaType, Code.UNSUPPORTED_MEDIA_TYPE),
    (exceptions.NotAuthenticated, Code.AUTH_INVALID_TOKEN),
    (exceptions.AuthenticationFailed, Code.AUTH_INVALID_TOKEN),
    (exceptions.PermissionDenied, Code.AUTH_INSUFFICIENT_PERMISSIONS),
    (PermissionDenied, Code.AUTH_INSUFFICIENT_PERMISSIONS),
    (exceptions.NotFound, Code.NOT_FOUND),
    (Http404, Code.NOT_FOUND),
    (exceptions.MethodNotAllowed, Code.METHOD_NOT_ALLOWED),
    (exceptions.Throttled, Code.RATE_LIMIT_EXCEEDED),
    (SuspiciousOperation, Code.VALIDATION_FAILED),
    (RedisAway, Code.SERVICE_UNAVAILABLE),
    (OperationalError, Code.SERVICE_UNAVAILABLE),
    (InterfaceError, Code.SERVICE_UNAVAILABLE),
)


def problem(code: Code, *, instance: str, detail: str = "", **members: object) -> dict[str, object]:
    """Return the problem document of `code`, in the active language."""
    status, title = CATALOGUE[code]
    return {
        "type": f"urn:advertmarket:error:{code}",
        "title": str(title),
        "status": status.value,
        "detail": detail or str(title),
        "instance": instance,
        "error_code": code.value,
        "timestamp": timezone.now().isoformat().replace("+00:00", "Z"),
        "correlation_id": str(correlation.current()),
        **members,
    }


def handle_exception(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an error that a view raised (DRF's EXCEPTION_HANDLER); None is a fault of ours."""
    code, detail = _classify(error)
    if code is None:
        return None
    members: dict[str, object] = {}
    headers: dict[str, str] = {}
    if isinstance(error, DomainError):
        members |= {camel(name): _plain(error.facts[name]) for name in error.public_facts}
        if error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, exceptions.ValidationError):
        members["violations"] = list(_violations(error.detail))
    if isinstance(error, exceptions.Throttled):
        headers["Retry-After"] = str(math.ceil(getattr(error, "wait", None) or 1))
    if isinstance(error, RateLimited):
        headers |= error.allowance.headers()
    status = CATALOGUE[code][0]
    if code is Code.SERVICE_UNAVAILABLE:
        logger.error("a needed service is away: %s", error)
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(context["view"].allowed_methods)
    document = problem(code, instance=context["request"].path, detail=detail, **members)
    return Response(document, status=status, headers=headers, content_type=CONTENT_TYPE)


def _classify(error: Exception) -> tuple[Code | None, str]:
    if isinstance(error, DomainError):
        return error.code, str(error)
    for kind, code in _DRF_CODES:
        if isinstance(error, kind):
            if isinstance(error, exceptions.ParseError):
                return code, _("The body is not well-formed JSON.")
            return code, ""
    return None, ""


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | list) or value is None else str(value)


def _violations(detail: object, field: str = "") -> Iterator[dict[str, str]]:
    """Flatten DRF's nested details: `items.0.price` and its message."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _violations(inner, ".".join(filter(None, [field, own])))
    elif isinstance(detail, list):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list)
            yield from _violations(inner, f"{field}.{index}" if nested else field)
    else:
        yield {"field": field or "body", "message": str(detail)}


def _document_answer(request: HttpRequest, code: Code) -> HttpResponse:
    return JsonResponse(
        problem(code, instance=request.path),
        status=CATALOGUE[code][0],
        content_type=CONTENT_TYPE,
        json_dumps_params={"ensure_ascii": False},
    )


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django itself refused (handler400)."""
    if _is_api(request):
        return _document_answer(request, Code.VALIDATION_FAILED)
    return defaults.bad_request(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an unknown address (handler404)."""
    if _is_api(request):
        return _document_answer(request, Code.NOT_FOUND)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault of ours (handler500); Django has logged it with its traceback."""
    if _is_api(request):
        return _document_answer(request, Code.INTERNAL_ERROR)
    return defaults.server_error(request)
