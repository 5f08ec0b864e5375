"""Asking the database in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import connection


def rows(query: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    """Return every row of a query."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[Any] = cursor.fetchall()
    return found


def record(query: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the only row of a query by its columns' names; sums are whole numbers."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        [row] = cursor.fetchall()
        names = [column.name for column in cursor.description]
    values = (int(value) if isinstance(value, Decimal) else value for value in row)
    return dict(zip(names, values, strict=True))


def render(query: str, parameters: Mapping[str, Any]) -> str:
    """Return a query with its parameters written into it."""
    with connection.cursor() as cursor:
        text: str = cursor.cursor.mogrify(query, parameters)
    return text
