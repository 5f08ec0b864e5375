"""The reports in the back office: read only."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from advertmarket.admin import ReadOnlyAdmin, ReadOnlyInline
from ops.checks import all_checks
from ops.models import ReconciliationResult, ReconciliationRun


class ResultInline(ReadOnlyInline[ReconciliationResult, ReconciliationRun]):
    """A line a check; its page has the SQL and the rows."""

    model = ReconciliationResult
    fields = readonly_fields = (
        "linked_check",
        "severity",
        "passed",
        "found",
        "figures_text",
        "duration_ms",
    )
    ordering = ("number", "id")

    @admin.display(description=_("check"))
    def linked_check(self, result: ReconciliationResult) -> SafeString:
        """The check, with the way to its page."""
        page = reverse("admin:ops_reconciliationresult_change", args=[result.pk])
        return format_html('<a href="{}">{} {}</a>', page, result.number, result.name)

    @admin.display(description=_("figures"))
    def figures_text(self, result: ReconciliationResult) -> str:
        """The figures in a line."""
        return _figures(result)


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin[ReconciliationRun]):
    """Newest first."""

    list_display = ("started_at", "kind", "passed", "asked_by", "since_posting", "error")
    list_filter = ("kind", "passed", "started_at")
    ordering = ("-id",)
    inlines = (ResultInline,)


@admin.register(ReconciliationResult)
class ReconciliationResultAdmin(ReadOnlyAdmin[ReconciliationResult]):
    """Newest first; one check's history by its filter."""

    list_display = ("run", "number", "name", "severity", "passed", "found", "duration_ms")
    list_filter = ("passed", "severity", "name")
    list_select_related = ("run",)
    ordering = ("-id",)
    fields = readonly_fields = (
        "run",
        "number",
        "name",
        "promise",
        "severity",
        "passed",
        "error",
        "found",
        "findings",
        "figures_text",
        "sql_text",
        "duration_ms",
    )

    @admin.display(description=_("promise"))
    def promise(self, result: ReconciliationResult) -> str:
        """What the check promises."""
        return next((one.promise for one in all_checks(full=True) if one.name == result.name), "—")

    @admin.display(description=_("what was found"))
    def findings(self, result: ReconciliationResult) -> SafeString | str:
        """The first findings in a table."""
        if not result.rows:
            return "—"
        lines = format_html_join("", "<tr><td>{}</td><td>{}</td></tr>", result.rows)
        more = result.found - len(result.rows)
        return format_html(
            "<table>{}</table>{}", lines, _("and {count} more").format(count=more) if more else ""
        )

    @admin.display(description=_("figures"))
    def figures_text(self, result: ReconciliationResult) -> str:
        """The figures in a line."""
        return _figures(result)

    @admin.display(description=_("SQL, to paste into psql"))
    def sql_text(self, result: ReconciliationResult) -> SafeString:
        """What was asked, as text that one click selects."""
        return format_html(
            '<pre style="user-select: all; white-space: pre-wrap">{}</pre>', result.sql
        )


def _figures(result: ReconciliationResult) -> str:
    return ", ".join(f"{name} {value}" for name, value in result.figures.items()) or "—"
