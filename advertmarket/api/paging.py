"""Keyset pages: a cursor is the sort key of the last row shown, so deep pages cost the same.

The cursor is signed: what comes back is ours or refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from django.core import signing
from django.db.models import Field, Model, Q, QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from advertmarket.errors import Code, DomainError

from .fields import CamelSerializer

DEFAULT_LIMIT = 20
MAX_LIMIT = 100

M = TypeVar("M", bound=Model)
T = TypeVar("T")
U = TypeVar("U")


class CursorInvalid(DomainError):
    """The cursor was not given out for this list."""

    code: ClassVar[Code] = Code.CURSOR_INVALID
    message = _("Use the cursor as it was given, with the same list.")


@dataclass(frozen=True)
class KeysetPage(Generic[T]):
    """A part of a list, and the cursor of the next one (None at the end)."""

    items: list[T]
    next_cursor: str | None

    @property
    def has_next(self) -> bool:
        """Whether there is more."""
        return self.next_cursor is not None

    def map(self, function: Callable[[T], U]) -> KeysetPage[U]:
        """Return the page with `function` applied to each item."""
        return KeysetPage([function(item) for item in self.items], self.next_cursor)


class PageParams(CamelSerializer):
    """The query parameters of every list."""

    cursor = serializers.CharField(required=False, max_length=1000)
    limit = serializers.IntegerField(
        required=False, default=DEFAULT_LIMIT, min_value=1, max_value=MAX_LIMIT
    )


@dataclass(frozen=True)
class PageRequest:
    """Which page the caller asks for."""

    cursor: str | None = None
    limit: int = DEFAULT_LIMIT

    def of(self, rows: QuerySet[M], *, order: Sequence[str]) -> KeysetPage[M]:
        """Return the page of `rows` in `order`.

        `order` names columns of the model that are never null, each with an optional "-", such as
        ("-created_at", "-id"); the last makes it unique. An index on them makes a page cheap.

        Raises:
            CursorInvalid: the cursor is broken, or was made for another order or table.
        """
        columns = [name.removeprefix("-") for name in order]
        signer = signing.Signer(sep=".", salt=f"cursor:{rows.model._meta.db_table}:{order}")
        if self.cursor is not None:
            rows = rows.filter(
                _after(order, _read_cursor(signer, rows.model, columns, self.cursor))
            )
        found = list(rows.order_by(*order)[: self.limit + 1])
        items = found[: self.limit]
        if len(found) <= self.limit:
            return KeysetPage(items, None)
        values = [_to_json(getattr(items[-1], column)) for column in columns]
        return KeysetPage(items, signer.sign_object(values))


def _after(order: Sequence[str], values: Sequence[object]) -> Q:
    """Rows that come after the row with these values."""
    condition = Q()
    equal = Q()
    for name, value in zip(order, values, strict=True):
        column = name.removeprefix("-")
        operator = "lt" if name.startswith("-") else "gt"
        condition |= equal & Q(**{f"{column}__{operator}": value})
        equal &= Q(**{column: value})
    return condition


def _to_json(value: object) -> str | int:
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, int) else str(value)


def _read_cursor(
    signer: signing.Signer, model: type[Model], columns: Sequence[str], cursor: str
) -> list[Any]:
    try:
        values = signer.unsign_object(cursor)
    except signing.BadSignature:
        raise CursorInvalid from None
    fields = [model._meta.get_field(column) for column in columns]
    return [
        field.to_python(value) if isinstance(field, Field) else value
        for field, value in zip(fields, values, strict=True)
    ]
