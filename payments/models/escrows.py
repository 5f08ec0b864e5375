"""What payments knows of a deal, and what came for it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from .chain import TonTransaction, Wallet


class Escrow(models.Model):
    """All that payments knows of a deal, which it knows only as `reference`.

    `partial_since_at`: when money below the price began to lie in PARTIAL_DEPOSIT.
    `refund_effective_at`: from when a refund may go to the address that the advertiser gave.
    """

    class State(models.TextChoices):
        AWAITING = "AWAITING"
        FUNDED = "FUNDED"
        RELEASED = "RELEASED"  # decided for the owner
        REFUNDED = "REFUNDED"  # decided for the advertiser
        SPLIT = "SPLIT"  # decided for both
        CLOSED = "CLOSED"  # ended unpaid, for good
        EXPIRED = "EXPIRED"  # ended unpaid; a deposit that was in time still funds it

    DECIDED = (State.RELEASED, State.REFUNDED, State.SPLIT)

    reference = models.UUIDField(primary_key=True)
    wallet = models.OneToOneField(Wallet, models.PROTECT, related_name="escrow")
    state = models.CharField(max_length=16, choices=State, default=State.AWAITING)
    price_nano = models.BigIntegerField()
    funded_nano = models.BigIntegerField(null=True)
    payment_deadline_at = models.DateTimeField()
    partial_since_at = models.DateTimeField(null=True)
    refund_user_id = models.BigIntegerField(null=True)
    refund_effective_at = models.DateTimeField(null=True)
    opened_at = models.DateTimeField()
    funded_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "escrows"
        constraints = [
            models.CheckConstraint(name="escrow_price_positive", condition=Q(price_nano__gt=0)),
            models.CheckConstraint(
                name="escrow_funded_with_amount",
                condition=Q(
                    state__in=["AWAITING", "CLOSED", "EXPIRED"], funded_nano=None, funded_at=None
                )
                | Q(
                    state__in=["FUNDED", "RELEASED", "REFUNDED", "SPLIT"],
                    funded_nano__gt=0,
                    funded_at__isnull=False,
                ),
            ),
            models.CheckConstraint(
                name="escrow_ended_with_time",
                condition=Q(state__in=["AWAITING", "FUNDED"], ended_at=None)
                | (~Q(state__in=["AWAITING", "FUNDED"]) & Q(ended_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="escrow_refund_whole",
                condition=Q(refund_user_id=None, refund_effective_at=None)
                | Q(refund_user_id__isnull=False, refund_effective_at__isnull=False),
            ),
        ]
        indexes = [
            models.Index(
                name="escrow_of_advertiser",
                fields=["refund_user_id"],
                condition=Q(refund_user_id__isnull=False),
            ),
            models.Index(
                name="escrow_partial",
                fields=["partial_since_at"],
                condition=Q(partial_since_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reference} · {self.state}"


class Deposit(models.Model):
    """Money that arrived for a deal, from the block that showed it until its rule is applied."""

    class State(models.TextChoices):
        CONFIRMING = "CONFIRMING"
        ALLOCATED = "ALLOCATED"
        REVIEW = "REVIEW"

    chain_transaction = models.OneToOneField(
        TonTransaction, models.PROTECT, primary_key=True, related_name="deposit"
    )
    escrow = models.ForeignKey(Escrow, models.PROTECT, related_name="deposits")
    amount_nano = models.BigIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.CONFIRMING)
    confirmed_at_seqno = models.BigIntegerField()
    rule = models.CharField(max_length=200, blank=True)
    seen_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    reminders = models.PositiveSmallIntegerField(default=0)

    class Meta:
        db_table = "deposits"
        constraints = [
            models.CheckConstraint(name="deposit_positive", condition=Q(amount_nano__gt=0)),
            models.CheckConstraint(
                name="deposit_decided_with_rule",
                condition=Q(state="CONFIRMING", decided_at=None, rule="")
                | (Q(state__in=["ALLOCATED", "REVIEW"], decided_at__isnull=False) & ~Q(rule="")),
            ),
        ]
        indexes = [
            models.Index(
                name="deposit_confirming",
                fields=["confirmed_at_seqno"],
                condition=Q(state="CONFIRMING"),
            ),
            models.Index(
                name="deposit_in_review", fields=["decided_at"], condition=Q(state="REVIEW")
            ),
        ]
