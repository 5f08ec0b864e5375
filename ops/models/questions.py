"""What operators asked the bot, and it takes longer to tell than a handler has."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class OperatorQuestion(models.Model):
    """A question of an operator's, gone once it is answered.

    `due_at` in the future is a worker's lease; `attempts` counts the leases, so that who holds the
    number of the last one holds the row.
    """

    class What(models.TextChoices):
        STATUS = "STATUS"
        RECONCILE = "RECONCILE"

    what = models.CharField(max_length=16, choices=What)
    operator_id = models.BigIntegerField()
    chat_id = models.BigIntegerField()
    language = models.CharField(max_length=2)
    attempts = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    asked_at = models.DateTimeField()

    class Meta:
        db_table = "operator_questions"
        constraints = [
            models.CheckConstraint(
                name="operator_question_known", condition=Q(what__in=["STATUS", "RECONCILE"])
            )
        ]
