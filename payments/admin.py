"""The money, read only. Amounts in TON."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from advertmarket.admin import ReadOnlyAdmin, ReadOnlyInline, ton

from .models import (
    AccountBalance,
    ChainCursor,
    CommissionTier,
    Deposit,
    Escrow,
    Journal,
    OperatorRequest,
    PauseChange,
    PauseEpoch,
    Posting,
    Settlement,
    TonTransaction,
    Wallet,
)
from .wallets import with_books


class PostingInline(ReadOnlyInline[Posting, Journal]):
    model = Posting
    fields = readonly_fields = ("debit", "credit", "amount", "wallet")
    amount = ton("amount_nano", _("amount, TON"))


class ChainTransactionInline(ReadOnlyInline[TonTransaction, Any]):
    model = TonTransaction
    fields = readonly_fields = (
        "direction",
        "state",
        "seqno",
        "received",
        "sent",
        "fee",
        "chain_at",
        "tx_hash",
        "last_answer",
    )
    ordering = ("pk",)
    received = ton("received_nano", _("received, TON"))
    sent = ton("sent_nano", _("sent, TON"))
    fee = ton("fee_nano", _("fee, TON"))


@admin.register(Journal)
class JournalAdmin(ReadOnlyAdmin[Journal]):
    list_display = ("posted_at", "kind", "key", "amount", "actor")
    list_filter = ("kind", "posted_at")
    search_fields = ("key", "tx_ref")
    ordering = ("-posted_at",)
    inlines = (PostingInline,)
    amount = ton("amount_nano", _("amount, TON"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Journal]:
        """Add the sum of each journal's postings."""
        return super().get_queryset(request).annotate(amount_nano=Sum("postings__amount_nano"))


@admin.register(AccountBalance)
class AccountBalanceAdmin(ReadOnlyAdmin[AccountBalance]):
    list_display = ("code", "balance")
    search_fields = ("code",)
    ordering = ("code",)
    balance = ton("balance_nano", _("balance, TON"))


@admin.register(Wallet)
class WalletAdmin(ReadOnlyAdmin[Wallet]):
    list_display = ("subwallet", "address", "reference", "on_chain", "in_books", "frozen_reason")
    list_filter = (
        ("frozen_at", admin.EmptyFieldListFilter),
        ("reserved_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("subwallet", "address", "reference")
    ordering = ("-subwallet",)
    inlines = (ChainTransactionInline,)
    on_chain = ton("balance_nano", _("on chain, TON"))
    in_books = ton("books_nano", _("in the books, TON"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Wallet]:
        """Add what the books say that the wallet holds, to stand beside what the chain says."""
        return with_books(super().get_queryset(request))


@admin.register(Escrow)
class EscrowAdmin(ReadOnlyAdmin[Escrow]):
    list_display = (
        "reference",
        "state",
        "price",
        "funded",
        "payment_deadline_at",
        "partial_since_at",
        "opened_at",
    )
    list_filter = ("state", ("partial_since_at", admin.EmptyFieldListFilter))
    search_fields = ("reference", "wallet__address")
    ordering = ("-opened_at",)
    price = ton("price_nano", _("price, TON"))
    funded = ton("funded_nano", _("funded, TON"))


@admin.register(Settlement)
class SettlementAdmin(ReadOnlyAdmin[Settlement]):
    list_display = (
        "created_at",
        "kind",
        "state",
        "amount",
        "waiting_for",
        "due_at",
        "attempts",
        "reference",
    )
    list_filter = ("state", "kind", ("unclaimed_since_at", admin.EmptyFieldListFilter))
    search_fields = ("id", "reference", "=payee_id")
    ordering = ("-created_at",)
    inlines = (ChainTransactionInline,)
    amount = ton("amount_nano", _("amount, TON"))


@admin.register(TonTransaction)
class TonTransactionAdmin(ReadOnlyAdmin[TonTransaction]):
    list_display = ("id", "direction", "state", "wallet", "received", "sent", "fee", "chain_at")
    list_filter = ("direction", "state")
    search_fields = ("tx_hash", "hash_norm", "msg_hash", "source", "destination")
    ordering = ("-id",)
    exclude = ("boc",)
    received = ton("received_nano", _("received, TON"))
    sent = ton("sent_nano", _("sent, TON"))
    fee = ton("fee_nano", _("fee, TON"))


@admin.register(Deposit)
class DepositAdmin(ReadOnlyAdmin[Deposit]):
    list_display = ("seen_at", "state", "amount", "rule", "escrow", "confirmed_at_seqno")
    list_filter = ("state",)
    search_fields = ("escrow__reference", "chain_transaction__tx_hash")
    ordering = ("-seen_at",)
    amount = ton("amount_nano", _("amount, TON"))


@admin.register(ChainCursor)
class ChainCursorAdmin(ReadOnlyAdmin[ChainCursor]):
    list_display = ("seqno", "head_seqno", "block_at", "read_at")


@admin.register(CommissionTier)
class CommissionTierAdmin(ReadOnlyAdmin[CommissionTier]):
    list_display = ("from_price", "below_price", "rate_bp")
    ordering = ("min_nano",)
    from_price = ton("min_nano", _("from, TON"))
    below_price = ton("max_nano", _("below, TON"))


@admin.register(PauseEpoch)
class PauseEpochAdmin(ReadOnlyAdmin[PauseEpoch]):
    list_display = ("epoch", "needs_second", "confirmed_by", "confirmed_at")


@admin.register(PauseChange)
class PauseChangeAdmin(ReadOnlyAdmin[PauseChange]):
    list_display = ("at", "paused", "actor", "reason", "outside")
    list_filter = ("paused", "outside", "at")
    search_fields = ("=actor",)
    ordering = ("-id",)


@admin.register(OperatorRequest)
class OperatorRequestAdmin(ReadOnlyAdmin[OperatorRequest]):
    list_display = (
        "requested_at",
        "action",
        "amount",
        "state",
        "needs_second",
        "requested_by",
        "decided_by",
        "reason",
    )
    list_filter = ("state", "action", "needs_second", "requested_at")
    search_fields = ("id", "action", "reason", "=requested_by", "=decided_by")
    ordering = ("-requested_at",)
    exclude = ("amount_nano",)
    readonly_fields = ("amount",)
    amount = ton("amount_nano", _("amount, TON"))
