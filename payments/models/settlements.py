"""What is owed."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from .chain import Wallet

_TOLD_WHERE = ["COMMISSION_SWEEP", "GAS_TOPUP", "TREASURY_WITHDRAWAL", "UNSOLICITED_REFUND"]
"""Kinds without a payee: they go where they were told to, and nowhere else."""


class Settlements(models.QuerySet["Settlement"]):
    """Owed transfers."""

    def open(self) -> Settlements:
        """Return those that are not over: owed still, or on their way."""
        return self.exclude(state__in=Settlement.OVER)


class Settlement(models.Model):
    """One owed transfer out of one wallet, from the decision until the recipient has it.

    `amount_nano` is what the books owe; a refund's fee is withheld from it. A payee has the
    address that they gave; `destination` is an own wallet, the cold address, or what operators
    set in its place. `reference` is the deal's id, or what `wallets.reference_of` returns where
    there is none. `unclaimed_since_at`: since when a payout waits for an address, and
    `reminded_day` the last day on which its payee was told. `payable_since_at`: since when it waits
    for us alone, neither for its payee, nor for the end of a hold or a pause.
    """

    class Kind(models.TextChoices):
        PAYOUT = "PAYOUT"
        REFUND = "REFUND"
        PARTIAL_DEPOSIT_REFUND = "PARTIAL_DEPOSIT_REFUND"
        OVERPAYMENT_REFUND = "OVERPAYMENT_REFUND"
        LATE_DEPOSIT_REFUND = "LATE_DEPOSIT_REFUND"
        UNSOLICITED_REFUND = "UNSOLICITED_REFUND"
        COMMISSION_SWEEP = "COMMISSION_SWEEP"
        GAS_TOPUP = "GAS_TOPUP"
        TREASURY_WITHDRAWAL = "TREASURY_WITHDRAWAL"

    class State(models.TextChoices):
        QUEUED = "QUEUED"
        SIGNED = "SIGNED"
        SUBMITTED = "SUBMITTED"
        CONFIRMED = "CONFIRMED"
        CANCELLED = "CANCELLED"  # never sent: decided otherwise, or written off
        NEEDS_OPERATOR = "NEEDS_OPERATOR"
        HELD = "HELD"

    WORKING = (State.QUEUED, State.SIGNED, State.SUBMITTED)
    OVER = (State.CONFIRMED, State.CANCELLED)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    kind = models.CharField(max_length=32, choices=Kind)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    reference = models.UUIDField()
    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="settlements")
    deposit = models.ForeignKey("Deposit", models.PROTECT, null=True, related_name="settlements")
    payee_id = models.BigIntegerField(null=True)
    destination = models.CharField(max_length=67, blank=True)
    comment = models.CharField(max_length=120, blank=True)
    amount_nano = models.BigIntegerField()
    waiting_for = models.CharField(max_length=300, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    attempts_allowed = models.PositiveSmallIntegerField(default=5)
    unclaimed_since_at = models.DateTimeField(null=True)
    reminded_day = models.PositiveSmallIntegerField(null=True)
    payable_since_at = models.DateTimeField()
    due_at = models.DateTimeField()
    lease_owner = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    state_since_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)

    objects = Settlements.as_manager()

    class Meta:
        db_table = "settlements"
        constraints = [
            models.CheckConstraint(
                name="settlement_amount_positive", condition=Q(amount_nano__gt=0)
            ),
            models.CheckConstraint(
                name="settlement_confirmed_with_time",
                condition=Q(state="CONFIRMED", confirmed_at__isnull=False)
                | (~Q(state="CONFIRMED") & Q(confirmed_at=None)),
            ),
            models.CheckConstraint(
                name="settlement_lease_whole",
                condition=Q(lease_owner=None, leased_until=None)
                | Q(lease_owner__isnull=False, leased_until__isnull=False),
            ),
            models.CheckConstraint(
                name="settlement_goes_somewhere",
                condition=Q(kind__in=_TOLD_WHERE, payee_id=None) & ~Q(destination="")
                | ~Q(kind__in=_TOLD_WHERE),
            ),
            models.CheckConstraint(
                name="settlement_of_deposit",
                condition=Q(
                    kind__in=["OVERPAYMENT_REFUND", "LATE_DEPOSIT_REFUND"], deposit__isnull=False
                )
                | (~Q(kind__in=["OVERPAYMENT_REFUND", "LATE_DEPOSIT_REFUND"]) & Q(deposit=None)),
            ),
            models.CheckConstraint(
                name="settlement_unclaimed_and_told",
                condition=Q(unclaimed_since_at=None, reminded_day=None)
                | Q(kind="PAYOUT", unclaimed_since_at__isnull=False, reminded_day__isnull=False),
            ),
            models.UniqueConstraint(
                name="settlement_one_open_per_kind",
                fields=["reference", "kind"],
                condition=Q(deposit=None) & ~Q(state__in=["CONFIRMED", "CANCELLED"]),
            ),
            models.UniqueConstraint(
                name="settlement_once_per_deposit",
                fields=["deposit", "kind"],
                condition=Q(deposit__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                name="settlement_due",
                fields=["due_at"],
                condition=Q(state__in=["QUEUED", "SIGNED", "SUBMITTED"]),
            ),
            models.Index(
                name="settlement_open",
                fields=["kind", "state"],
                condition=~Q(state__in=["CONFIRMED", "CANCELLED"]),
            ),
            models.Index(name="settlement_reference", fields=["reference"]),
            models.Index(
                name="settlement_of_payee",
                fields=["payee_id", "-created_at", "-id"],
                condition=Q(payee_id__isnull=False),
            ),
            models.Index(
                name="settlement_unclaimed",
                fields=["unclaimed_since_at"],
                condition=Q(unclaimed_since_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reference} · {self.state}"
