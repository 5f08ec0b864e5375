"""Incidents, their alerts and the rota in the back office: read only."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from advertmarket.admin import ReadOnlyAdmin, ReadOnlyInline
from ops.models import Alert, Incident, IncidentEntry, RotaEntry

from .follow import BY_ITSELF
from .history import WATCH
from .kinds import kind_named
from .text import runbook_link, title_of


class HistoryInline(ReadOnlyInline[IncidentEntry, Incident]):
    model = IncidentEntry
    fields = readonly_fields = ("at", "what", "actor", "told", "facts")
    ordering = ("pk",)

    @admin.display(description=_("note"))
    def told(self, entry: IncidentEntry) -> str:
        """What was said; of what the watch did, in the reader's language."""
        if entry.what == IncidentEntry.What.ESCALATED:
            return gettext("level {number}").format(number=entry.note)
        if entry.what == IncidentEntry.What.RESOLVED and entry.actor == str(WATCH):
            return str(BY_ITSELF)
        return entry.note


class AlertInline(ReadOnlyInline[Alert, Incident]):
    model = Alert
    fields = readonly_fields = (
        "created_at",
        "reason",
        "channel",
        "recipient",
        "state",
        "attempts",
        "sent_at",
        "error",
    )
    ordering = ("pk",)


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin[Incident]):
    """Newest first; what happened to it and who was told stand on its page."""

    list_display = [
        "id",
        "severity",
        "title",
        "opened_at",
        "gone_at",
        "respond_by",
        "acknowledged_by",
        "assignee",
        "resolved_at",
    ]
    list_filter = ["severity", ("resolved_at", admin.EmptyFieldListFilter), "kind"]
    search_fields = ["=id", "cause"]
    ordering = ["-opened_at"]
    fields = [
        "severity",
        "title",
        "cause",
        "facts",
        "page",
        "runbook",
        "since_at",
        "opened_at",
        "last_seen_at",
        "gone_at",
        "respond_by",
        "level",
        "acknowledged_at",
        "acknowledged_by",
        "assignee",
        "resolved_at",
        "resolved_by",
        "told",
    ]
    readonly_fields = ["title", "runbook", "told"]
    inlines = [HistoryInline, AlertInline]

    @admin.display(description=_("what"))
    def title(self, incident: Incident) -> str:
        """What it is, in the reader's language."""
        return title_of(incident)

    @admin.display(description=_("runbook"))
    def runbook(self, incident: Incident) -> str:
        """Where the runbook says what to do."""
        return runbook_link(kind_named(incident.kind))

    @admin.display(description=_("note"))
    def told(self, incident: Incident) -> str:
        """What it was: in their words who resolved it, if anybody did."""
        is_person = incident.resolved_at is None or incident.resolved_by is not None
        return incident.note if is_person else str(BY_ITSELF)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        """Add the names that the list shows."""
        return super().get_queryset(request).select_related("acknowledged_by", "assignee")


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin[Alert]):
    """Newest first: who was told what, and what could not be told."""

    list_display = [
        "created_at",
        "incident",
        "reason",
        "channel",
        "recipient",
        "state",
        "attempts",
        "sent_at",
        "error",
    ]
    list_filter = ["state", "channel", "reason"]
    search_fields = ["=incident__id", "=recipient"]
    ordering = ["-created_at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        """Add the incident that the list names."""
        return super().get_queryset(request).select_related("incident")


@admin.register(RotaEntry)
class RotaAdmin(ReadOnlyAdmin[RotaEntry]):
    """Who is woken, first to last; set by `manage.py rota set`."""

    list_display = ["position", "operator", "email"]
    ordering = ["position"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[RotaEntry]:
        """Add the names."""
        return super().get_queryset(request).select_related("operator")
