"""Two queues, each in the order of its chats: what came from Telegram, what is to go there."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

PENDING = "PENDING"


class ChatQueue(models.Model):
    """A row that is worked on when it is PENDING, due, and its chat's oldest such row.

    `due_at` in the future is a retry, a pause or a worker's lease; `attempts` counts the leases,
    so that who holds the number of the last one holds the row.
    """

    chat_id = models.BigIntegerField()
    state = models.CharField(max_length=11, default=PENDING)
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField()
    error = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        abstract = True


class Update(ChatQueue):
    """Something that Telegram told the bot; the id is Telegram's, the body its JSON, untouched."""

    class State(models.TextChoices):
        PENDING = PENDING
        DONE = "DONE"
        SET_ASIDE = "SET_ASIDE"

    id = models.BigIntegerField(primary_key=True)
    kind = models.CharField(max_length=40)
    body = models.TextField()
    correlation_id = models.UUIDField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "telegram_updates"
        indexes = [
            models.Index(fields=["id"], name="telegram_update_oldest", condition=Q(state=PENDING)),
            models.Index(
                fields=["chat_id", "id"], name="telegram_update_pending", condition=Q(state=PENDING)
            ),
            models.Index(
                fields=["done_at"], name="telegram_update_done", condition=Q(state="DONE")
            ),
            models.Index(
                fields=["created_at"],
                name="telegram_update_set_aside",
                condition=Q(state="SET_ASIDE"),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="telegram_update_state_known",
                condition=Q(state__in=["PENDING", "DONE", "SET_ASIDE"]),
            ),
            models.CheckConstraint(
                name="telegram_update_done_has_time",
                condition=Q(state="DONE", done_at__isnull=False)
                | (~Q(state="DONE") & Q(done_at__isnull=True)),
            ),
            models.CheckConstraint(
                name="telegram_update_set_aside_has_error",
                condition=~Q(state="SET_ASIDE") | ~Q(error=""),
            ),
        ]


class OutgoingMessage(ChatQueue):
    """A text for a chat, in the HTML of the Bot API.

    FAILED (with the reason) and UNREACHABLE (the person closed the chat) are for operators to see;
    one about money leaves UNREACHABLE by itself when the person opens the chat again. `wanted_at`:
    since when a notice could have gone out, the event's own time at first; null for an answer.
    """

    class State(models.TextChoices):
        PENDING = PENDING
        SENT = "SENT"
        FAILED = "FAILED"
        UNREACHABLE = "UNREACHABLE"

    id = models.BigAutoField(primary_key=True)
    text = models.TextField()
    buttons = models.JSONField(default=list)
    about_money = models.BooleanField(default=False)
    message_id = models.BigIntegerField(null=True)
    sent_at = models.DateTimeField(null=True)
    wanted_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "telegram_outgoing"
        indexes = [
            models.Index(
                fields=["id"], name="telegram_outgoing_oldest", condition=Q(state=PENDING)
            ),
            models.Index(
                fields=["chat_id", "id"],
                name="telegram_outgoing_pending",
                condition=Q(state=PENDING),
            ),
            models.Index(
                fields=["chat_id"],
                name="telegram_outgoing_unsent",
                condition=Q(state__in=["FAILED", "UNREACHABLE"]),
            ),
            models.Index(
                fields=["sent_at"], name="telegram_outgoing_sent", condition=Q(state="SENT")
            ),
        ]
        constraints = [
            models.CheckConstraint(
                name="telegram_outgoing_state_known",
                condition=Q(state__in=["PENDING", "SENT", "FAILED", "UNREACHABLE"]),
            ),
            models.CheckConstraint(
                name="telegram_outgoing_sent_has_message",
                condition=Q(state="SENT", sent_at__isnull=False, message_id__isnull=False)
                | (~Q(state="SENT") & Q(sent_at__isnull=True, message_id__isnull=True)),
            ),
            models.CheckConstraint(
                name="telegram_outgoing_failed_has_error",
                condition=~Q(state="FAILED") | ~Q(error=""),
            ),
        ]
