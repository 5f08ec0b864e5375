"""Who there is: operators of the back office, and the Telegram users that they serve."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class Operator(AbstractUser):
    """A person of the back office. Telegram users are another model and never sign in there."""

    class Meta(AbstractUser.Meta):
        db_table = "operators"


class TelegramUser(models.Model):
    """A person who came through Telegram; the id is Telegram's."""

    id = models.BigIntegerField(primary_key=True)
    first_name = models.CharField(max_length=128, blank=True)
    username = models.CharField(max_length=64, blank=True)
    language = models.CharField(max_length=2, default="ru")
    blocked_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    unreachable_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "telegram_users"
