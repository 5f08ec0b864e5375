"""Asking the database in its own words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection


def rows(query: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
    """Return every row of a query."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        found: list[Any] = cursor.fetchall()
    return found
