"""Answers kept for a day, so that a repeated POST is answered and not done again."""

from __future__ import annotations

from django.db import models


class IdempotentAnswer(models.Model):
    """The 2xx answer to a caller's Idempotency-Key, written with the effect it answers for."""

    caller_id = models.BigIntegerField()
    key = models.CharField(max_length=200)
    fingerprint = models.BinaryField()
    status = models.SmallIntegerField()
    body = models.TextField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "idempotent_answers"
        constraints = [
            models.UniqueConstraint(fields=["caller_id", "key"], name="idempotent_answer_unique")
        ]
