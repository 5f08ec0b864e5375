"""The channels that advertise, and what they ask for it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from advertmarket.money import NANO_PER_TON


class Format(models.TextChoices):
    """How an ad appears in a channel."""

    STANDARD = "STANDARD"


class Channel(models.Model):
    """A Telegram channel and who answers for it; the id is Telegram's.

    `owner` registered it, `creator_id` is the creator, if Telegram names one. The person's
    and the bot's rights were last seen to be good at `proved_at`. No message of the channel that we
    know of has an id above `last_message_id`. One with `removed_at` gets no new deals.
    """

    id = models.BigIntegerField(primary_key=True)
    title = models.CharField(max_length=255)
    username = models.CharField(max_length=64, blank=True)
    description = models.CharField(max_length=255, blank=True)
    topic = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=8, blank=True)
    owner = models.ForeignKey("accounts.TelegramUser", models.PROTECT, related_name="+")
    creator_id = models.BigIntegerField(null=True)
    subscribers = models.PositiveIntegerField()
    last_message_id = models.BigIntegerField(default=0)
    created_at = models.DateTimeField()
    proved_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "channels"
        indexes = [
            models.Index(
                fields=["-created_at", "-id"],
                name="channel_newest_first",
                condition=Q(removed_at=None),
            )
        ]
        constraints = [
            models.CheckConstraint(name="channel_id_negative", condition=Q(id__lt=0)),
        ]

    def __str__(self) -> str:
        return f"{self.title} · {self.id}"


class PricingRule(models.Model):
    """What the owner asks for an ad of one format, in nanoTON."""

    channel = models.ForeignKey(Channel, models.PROTECT, related_name="pricing_rules")
    format = models.CharField(max_length=16, choices=Format)
    price_nano = models.BigIntegerField()
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "channel_pricing_rules"
        constraints = [
            models.CheckConstraint(
                name="pricing_rule_format_known", condition=Q(format__in=Format.values)
            ),
            models.CheckConstraint(
                name="pricing_rule_at_least_one_ton", condition=Q(price_nano__gte=NANO_PER_TON)
            ),
            models.UniqueConstraint(
                name="pricing_rule_one_active_per_format",
                fields=["channel", "format"],
                condition=Q(is_active=True),
            ),
        ]
