"""Deals, read only. A deal's page shows its history, its money, its ad and every look at it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from advertmarket.admin import ReadOnlyAdmin, ReadOnlyInline, ton
from advertmarket.money import format_ton
from payments import selectors as payments

from .disputes.selectors import propose_split
from .models import (
    Brief,
    Creative,
    Deal,
    DealEvent,
    Dispute,
    DisputeEvidence,
    PlannedCheck,
    PostAttempt,
    PostingCheck,
)


def _inline(row: type[Model], *columns: str, order: str = "pk") -> type[ReadOnlyInline[Any, Any]]:
    """Return an inline that shows these columns of rows of a deal, or of its dispute."""

    class Rows(ReadOnlyInline[Any, Any]):
        model = row
        fields = readonly_fields = columns
        ordering = (order,)

    return Rows


@admin.register(Deal)
class DealAdmin(ReadOnlyAdmin[Deal]):
    list_display = (
        "id",
        "status",
        "channel",
        "price",
        "advertiser",
        "owner",
        "deadline_at",
        "hold_reason",
        "created_at",
    )
    list_filter = ("status", "hold_reason", "created_at")
    search_fields = ("=id", "=advertiser__id", "=owner__id", "=channel__id", "channel__title")
    list_select_related = ("channel", "advertiser", "owner")
    ordering = ("-created_at",)
    readonly_fields = ("price", "escrow", "accounts", "transfers")
    exclude = ("price_nano", "lease_owner")
    inlines = (
        _inline(Dispute, "opened_at", "reason", "state", "decision", "owner_bp", "decided_by"),
        _inline(DealEvent, "at", "action", "from_status", "to_status", "actor", "reason"),
        _inline(Brief, "text", "audience", "tone", "links", "forbidden_words", "notes"),
        _inline(Creative, "version", "text", "media", "buttons", "revision_note", "approved_at"),
        _inline(PostAttempt, "part", "state", "message_ids", "started_at", "ended_at", "error"),
        _inline(PlannedCheck, "planned_at", "due_at", "attempts", "done_at", "verdict"),
        _inline(PostingCheck, "at", "verdict", "forward_probe", "markup_probe", "detail"),
    )
    price = ton("price_nano", _("price, TON"))

    @admin.display(description=_("escrow"))
    def escrow(self, deal: Deal) -> str:
        """Say how the escrow stands."""
        view = payments.escrow_view(deal.id)
        if view is None:
            return "—"
        funded = "—" if view.funded_nano is None else format_ton(view.funded_nano)
        return f"{view.state}, {funded} TON, {view.address}"

    @admin.display(description=_("accounts, TON"))
    def accounts(self, deal: Deal) -> SafeString | str:
        """Show the deal's accounts that are not empty."""
        view = payments.escrow_view(deal.id)
        held = [(name, nano) for name, nano in view.balances.items() if nano] if view else []
        rows = ((name, format_ton(nano)) for name, nano in held)
        return format_html_join("", "{}: {}<br>", rows) or "—"

    @admin.display(description=_("transfers"))
    def transfers(self, deal: Deal) -> SafeString | str:
        """Show all that is or was owed for the deal: how it stands, and where it went."""
        owed = payments.transfers_of(deal.id)
        if not owed:
            return "—"
        titles = (
            *(_("kind"), _("amount, TON"), _("state"), _("waiting for")),
            *(_("recipient"), _("chain transaction")),
        )
        lines = (
            (
                *(one.kind, format_ton(one.amount_nano), one.state, one.waiting_for),
                *(one.recipient, one.tx_hash),
            )
            for one in owed
        )
        return format_html(
            "<table><tr>{}</tr>{}</table>",
            format_html_join("", "<th>{}</th>", ((title,) for title in titles)),
            format_html_join("", f"<tr>{'<td>{}</td>' * len(titles)}</tr>", lines),
        )


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin[Dispute]):
    list_display = ("deal", "reason", "state", "opened_by", "opened_at", "due_at", "decision")
    list_filter = ("state", "reason", "decision", "opened_at")
    search_fields = ("=deal__id", "opened_by")
    list_select_related = ("deal",)
    ordering = ("-opened_at",)
    readonly_fields = ("proposal",)
    inlines = (_inline(DisputeEvidence, "added_at", "added_by", "kind", "content", "content_hash"),)

    @admin.display(description=_("split by time"))
    def proposal(self, dispute: Dispute) -> str:
        """Say how the time that the ad was up would divide the money."""
        proposal = propose_split(dispute)
        if proposal is None:
            return "—"
        parts = proposal.shares
        sums = map(format_ton, (parts.owner_nano, parts.commission_nano, parts.advertiser_nano))
        text = _("{} basis points: owner {}, commission {}, advertiser {} TON")
        return text.format(proposal.owner_bp, *sums)
