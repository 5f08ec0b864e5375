"""Who there is: operators of the back office, and the Telegram users that they serve."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import F, Q


class Operator(AbstractUser):
    """A person of the back office. Telegram users are another model and never sign in there.

    Alarms go to the chat `telegram_id`, and commands to the bot from there are the operator's.
    """

    telegram_id = models.BigIntegerField(null=True, unique=True)
    language = models.CharField(max_length=2, default="ru")

    class Meta(AbstractUser.Meta):
        db_table = "operators"
        verbose_name = "operator"
        verbose_name_plural = "operators"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=Q(telegram_id__gt=0), name="operator_telegram_id_positive"
            ),
            models.CheckConstraint(
                condition=Q(language__in=["ru", "en"]), name="operator_language_known"
            ),
        ]


class WrongPasswords(models.Model):
    """How often a password was tried in vain for an operator's name, or from an address."""

    subject = models.CharField(max_length=200, primary_key=True)
    tries = models.PositiveIntegerField(default=0)
    began_at = models.DateTimeField()
    refused_until = models.DateTimeField(null=True)

    class Meta:
        db_table = "wrong_passwords"


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
        constraints = [
            models.CheckConstraint(condition=Q(id__gt=0), name="telegram_user_id_positive"),
            models.CheckConstraint(
                condition=Q(language__in=["ru", "en"]), name="telegram_user_language_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.first_name} · {self.id}"


class Session(models.Model):
    """A signed-in Mini App: one for each launch data, until it expires or is revoked."""

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(TelegramUser, on_delete=models.CASCADE, related_name="sessions")
    init_data_digest = models.BinaryField(unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "sessions"
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="session_ends_after_it_began"
            )
        ]


class ProofPayload(models.Model):
    """What a session asked a wallet to sign (its digest), until it is signed or expires."""

    digest = models.BinaryField(unique=True)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="+")
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        db_table = "ton_proof_payloads"


class Pii(models.Model):
    """A personal datum, encrypted with AES-256-GCM; only `accounts.vault` reads and writes it."""

    user = models.ForeignKey(TelegramUser, on_delete=models.CASCADE, related_name="+")
    field = models.CharField(max_length=100)
    key_version = models.CharField(max_length=16)
    nonce = models.BinaryField()
    ciphertext = models.BinaryField()
    updated_at = models.DateTimeField()

    class Meta:
        db_table = "pii_store"
        constraints = [
            models.UniqueConstraint(fields=["user", "field"], name="pii_one_value_per_field")
        ]


class PayoutAddress(models.Model):
    """Since when the payout address in the vault may be paid to."""

    user = models.OneToOneField(
        TelegramUser, on_delete=models.CASCADE, primary_key=True, related_name="payout_address"
    )
    changed_at = models.DateTimeField()
    effective_at = models.DateTimeField()

    class Meta:
        db_table = "payout_addresses"
        constraints = [
            models.CheckConstraint(
                condition=Q(effective_at__gte=F("changed_at")), name="payout_address_not_before"
            )
        ]
