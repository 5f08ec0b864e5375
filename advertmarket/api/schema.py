"""What the OpenAPI schema says of handlers, errors and limits: generated from the code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.serializers import BaseSerializer

from advertmarket.errors import CATALOGUE, Code

from .paging import PageParams

AnySerializer = type[BaseSerializer[Any]]

_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The same key and request within 24 hours gives the first answer again.",
)


class ViolationSerializer(serializers.Serializer[Any]):
    """What is wrong with one field of the request."""

    field = serializers.CharField()
    message = serializers.CharField()


class ProblemSerializer(serializers.Serializer[Any]):
    """An error (RFC 9457); `title` and `detail` are in the caller's language."""

    type = serializers.CharField(help_text="urn:advertmarket:error:CODE")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    error_code = serializers.ChoiceField(choices=[code.value for code in Code])
    timestamp = serializers.DateTimeField()
    correlation_id = serializers.UUIDField()
    violations = ViolationSerializer(many=True, required=False)


_PROBLEMS = {("4XX", "application/problem+json"): ProblemSerializer}


def describe_query(
    handler: Callable[..., Any],
    *,
    answer: AnySerializer,
    params: Sequence[AnySerializer],
    paged: bool,
) -> Callable[..., Any]:
    """Attach a GET handler's schema."""
    response: Any = answer
    parameters: list[Any] = [*params, *([PageParams] if paged else [])]
    if paged:
        name = answer.__name__.removesuffix("Serializer")
        response = inline_serializer(
            f"{name}Page",
            {
                "items": answer(many=True),
                "nextCursor": serializers.CharField(allow_null=True),
                "hasNext": serializers.BooleanField(),
            },
        )
    return extend_schema(
        operation_id=_operation_id(handler),
        parameters=parameters,
        responses={200: response, **_PROBLEMS},
    )(handler)


def describe_command(
    handler: Callable[..., Any],
    *,
    answer: AnySerializer | None,
    body: AnySerializer | None,
    status: int,
    keyed: bool,
) -> Callable[..., Any]:
    """Attach a writing handler's schema."""
    return extend_schema(
        operation_id=_operation_id(handler),
        parameters=[_IDEMPOTENCY_KEY] if keyed else [],
        request=body,
        responses={int(status): answer, **_PROBLEMS},
    )(handler)


def _operation_id(handler: Callable[..., Any]) -> str:
    """`DealsView.get` is `getDeals`."""
    view, method = handler.__qualname__.split(".")[-2:]
    return method + view.removesuffix("View")


_INTRODUCTION = """\
Amounts are decimal strings of nanoTON, times are ISO 8601 in UTC. A POST takes an
`Idempotency-Key`: the same request with the same key within 24 hours has one effect and one answer.
Lists come in pages: pass `nextCursor` on as `cursor`. `RateLimit-*` headers tell how many calls
are left; after a 429 or 503 wait for `Retry-After` seconds.

Errors are problem documents (RFC 9457) with one of these codes:
"""


def describe_errors(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Write the introduction, and the catalogue of error codes (a postprocessing hook)."""
    rows = [f"| {code} | {status.value} | {title} |" for code, (status, title) in CATALOGUE.items()]
    table = "\n".join(["| error_code | status | title |", "|---|---|---|", *rows])
    result["info"]["description"] = f"{_INTRODUCTION}\n{table}"
    return result
