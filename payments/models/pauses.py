"""The switch that stops all money, and who used it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class PauseEpoch(models.Model):
    """The epoch that Redis must hold for payouts to run: a Redis that lost its memory stops them.

    Only installation, an operator's confirmation and a restore write it; after a restore two
    operators confirm (`needs_second`).
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    epoch = models.UUIDField()
    needs_second = models.BooleanField(default=False)
    confirmed_by = models.CharField(max_length=100)
    confirmed_at = models.DateTimeField()

    class Meta:
        db_table = "pause_epoch"
        constraints = [models.CheckConstraint(name="pause_epoch_single", condition=Q(id=1))]


class PauseChange(models.Model):
    """Payouts were paused or resumed: by whom, when and why. The table only grows.

    `outside`: somebody changed the flag in Redis by hand; `at` is when that was noticed. `flag` is
    what Redis is to hold from then on, or held.
    """

    id = models.BigAutoField(primary_key=True)
    paused = models.BooleanField()
    outside = models.BooleanField(default=False)
    actor = models.CharField(max_length=100)
    reason = models.CharField(max_length=500)
    flag = models.CharField(max_length=700, blank=True)
    at = models.DateTimeField()

    class Meta:
        db_table = "payment_pauses"
        constraints = [
            models.CheckConstraint(name="payment_pause_reasoned", condition=~Q(reason="")),
            models.CheckConstraint(
                name="payment_pause_lifted_holds_no_flag", condition=Q(paused=True) | Q(flag="")
            ),
        ]

    def __str__(self) -> str:
        return f"{'paused' if self.paused else 'resumed'} · {self.at:%Y-%m-%d %H:%M}"
