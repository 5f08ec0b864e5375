"""Who was told what about which fact."""

from __future__ import annotations

from django.db import models


class Delivery(models.Model):
    """One notice of one event for one chat; how it fares, its message says."""

    event_id = models.UUIDField()
    template = models.CharField(max_length=40)
    chat_id = models.BigIntegerField()
    deal_id = models.UUIDField(db_index=True)
    message = models.OneToOneField(
        "telegram.OutgoingMessage", on_delete=models.CASCADE, related_name="+"
    )
    created_at = models.DateTimeField()

    class Meta:
        db_table = "deliveries"
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["event_id", "template", "chat_id"], name="delivery_once"
            )
        ]
