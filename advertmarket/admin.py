"""What every page of the back office shares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin
from django.contrib.admin.utils import get_fields_from_path
from django.core.exceptions import ValidationError
from django.db.models import CharField, Model, Q, QuerySet, TextField
from django.http import HttpRequest

from .money import format_ton

if TYPE_CHECKING:  # unfold is not typed
    from django.contrib.admin import ModelAdmin, TabularInline
    from django.core.paginator import Paginator as InfinitePaginator
    from django.utils.functional import _StrPromise
else:
    from unfold.admin import ModelAdmin, TabularInline
    from unfold.paginator import InfinitePaginator

M = TypeVar("M", bound=Model)
Parent = TypeVar("Parent", bound=Model)


class ReadOnlyAdmin(ModelAdmin[M]):
    """Shows rows and changes none: whatever changes one is an action that calls a service.

    A list counts nothing, and a search for an id reads its index: both stay fast in big tables.
    """

    list_per_page = 50
    show_full_result_count = False
    paginator = InfinitePaginator

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[M], search_term: str
    ) -> tuple[QuerySet[M], bool]:
        """Return the rows where a text contains the term; "=text" and what is no text are it.

        Django would compare numbers and UUIDs as text, which no index helps with.
        """
        if not search_term:
            return queryset, False
        found = Q(pk__in=[])
        for name in self.get_search_fields(request):
            path = name.removeprefix("=")
            field = get_fields_from_path(self.model, path)[-1]
            if path == name and isinstance(field, CharField | TextField):
                found |= Q(**{f"{path}__icontains": search_term})
                continue
            with suppress(ValidationError):
                found |= Q(**{path: field.to_python(search_term)})
        return queryset.filter(found), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Nobody edits a row by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        """Nobody deletes a row by hand."""
        return False


class ReadOnlyInline(TabularInline[M, Parent]):
    """Rows that belong to the one on the page."""

    extra = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Parent | None = None) -> bool:
        """Nobody adds a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits a row by hand."""
        return False


def ton(field: str, title: _StrPromise | str) -> Callable[[Any, Any], str]:
    """Return an admin column that shows the nanoTON of `field` as TON."""

    @admin.display(description=title, ordering=field)
    def column(_admin: Any, row: Any) -> str:
        nano = getattr(row, field)
        return "—" if nano is None else format_ton(nano)

    return column
