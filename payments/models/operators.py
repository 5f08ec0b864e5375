"""What operators set and ask for."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import F, Q


class CommissionTier(models.Model):
    """The commission rate, in basis points, of prices from `min_nano` up to below `max_nano`."""

    min_nano = models.BigIntegerField()
    max_nano = models.BigIntegerField(null=True)
    rate_bp = models.PositiveSmallIntegerField()

    class Meta:
        db_table = "commission_tiers"
        constraints = [
            models.CheckConstraint(
                name="commission_rate_in_range", condition=Q(rate_bp__gte=0, rate_bp__lte=5000)
            ),
            models.CheckConstraint(
                name="commission_tier_range",
                condition=Q(min_nano__gte=0) & (Q(max_nano=None) | Q(max_nano__gt=F("min_nano"))),
            ),
        ]


class OperatorRequest(models.Model):
    """What an operator asked for about money: done at once, or waiting for a second person.

    `payload` is exactly what is carried out, and `digest` its digest when it was asked for.
    """

    class State(models.TextChoices):
        PENDING = "PENDING"
        DONE = "DONE"
        REJECTED = "REJECTED"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    action = models.CharField(max_length=64)
    payload = models.JSONField()
    digest = models.CharField(max_length=64)
    amount_nano = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=500)
    needs_second = models.BooleanField()
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    requested_by = models.BigIntegerField()
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_by = models.BigIntegerField(null=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "operator_requests"
        permissions = [
            ("operate_money", "Can act on deposits, payouts and wallets"),
            ("approve_money", "Can approve what needs a second person"),
        ]
        constraints = [
            models.CheckConstraint(
                name="operator_request_reasoned", condition=~Q(reason="") & ~Q(action="")
            ),
            models.CheckConstraint(
                name="operator_request_decided_whole",
                condition=Q(state="PENDING", decided_by=None, decided_at=None)
                | (~Q(state="PENDING") & Q(decided_by__isnull=False, decided_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="operator_request_second_is_another",
                condition=Q(needs_second=False)
                | ~Q(state="DONE")
                | ~Q(decided_by=F("requested_by")),
            ),
        ]
        indexes = [
            models.Index(name="operator_request_by", fields=["requested_by", "-requested_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.action} · {self.state}"
