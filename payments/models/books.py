"""The books: journals, their postings, and the balances that may not go below zero."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q


class Journal(models.Model):
    """One business operation of the books: postings that stand together, written once."""

    class Kind(models.TextChoices):
        RECEIVED = "RECEIVED"
        ALLOCATED = "ALLOCATED"
        NETWORK_FEE = "NETWORK_FEE"
        PARTIAL_PROMOTE = "PARTIAL_PROMOTE"
        ESCROW_RELEASE = "ESCROW_RELEASE"
        ESCROW_REFUND = "ESCROW_REFUND"
        PARTIAL_REFUND = "PARTIAL_REFUND"
        UNCLAIMED_REFUND = "UNCLAIMED_REFUND"
        UNSOLICITED_REFUND = "UNSOLICITED_REFUND"
        OWNER_WITHDRAWAL = "OWNER_WITHDRAWAL"
        REFUND_SENT = "REFUND_SENT"
        COMMISSION_SWEEP = "COMMISSION_SWEEP"
        GAS_TOPUP = "GAS_TOPUP"
        TREASURY_WITHDRAWAL = "TREASURY_WITHDRAWAL"
        LOST_DEAL = "LOST_DEAL"
        BOUNCE = "BOUNCE"
        DUST_WRITEOFF = "DUST_WRITEOFF"
        FEE_ADJUSTMENT = "FEE_ADJUSTMENT"
        REVERSAL = "REVERSAL"

    tx_ref = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=32, choices=Kind)
    key = models.CharField(max_length=200, unique=True)
    digest = models.CharField(max_length=64)
    actor = models.CharField(max_length=100)
    correlation_id = models.UUIDField()
    posted_at = models.DateTimeField()

    class Meta:
        db_table = "ledger_journals"
        indexes = [models.Index(fields=["posted_at"], name="journal_posted_at")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class Posting(models.Model):
    """`amount_nano` debited from one account and credited to another: it cannot be unbalanced."""

    id = models.BigAutoField(primary_key=True)
    journal = models.ForeignKey(Journal, models.PROTECT, related_name="postings")
    debit = models.CharField(max_length=80)
    credit = models.CharField(max_length=80)
    amount_nano = models.BigIntegerField()
    wallet = models.ForeignKey("Wallet", models.PROTECT, null=True, related_name="postings")

    class Meta:
        db_table = "ledger_postings"
        constraints = [
            models.CheckConstraint(name="posting_amount_positive", condition=Q(amount_nano__gt=0)),
            models.CheckConstraint(name="posting_accounts_differ", condition=~Q(debit=F("credit"))),
            models.CheckConstraint(
                name="posting_on_chain_names_wallet",
                condition=Q(debit="EXTERNAL_TON", wallet__isnull=False)
                | Q(credit="EXTERNAL_TON", wallet__isnull=False)
                | (~Q(debit="EXTERNAL_TON") & ~Q(credit="EXTERNAL_TON") & Q(wallet__isnull=True)),
            ),
        ]
        indexes = [
            models.Index(fields=["debit"], name="posting_debit"),
            models.Index(fields=["credit"], name="posting_credit"),
        ]


class AccountBalance(models.Model):
    """The running balance (credits less debits) of an account that may not go below zero."""

    code = models.CharField(max_length=80, primary_key=True)
    balance_nano = models.BigIntegerField(default=0)

    class Meta:
        db_table = "account_balances"
        constraints = [
            models.CheckConstraint(name="account_not_overdrawn", condition=Q(balance_nano__gte=0)),
        ]
