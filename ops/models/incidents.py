"""What wakes people: incidents, who was told of them, and who is to be woken."""

from __future__ import annotations

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class Severity(models.TextChoices):
    """How soon somebody must answer; `kinds.RESPONSE` has the clocks."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class Incident(models.Model):
    """One cause, from when it was seen until it is resolved; a cause has one that is open.

    `since_at`: since when the cause holds, as far as anybody knows. `last_seen_at`: when its
    detector saw it last; `gone_at` is set when it was not seen for so long that people were told
    so. One that comes back after that begins another `episode`. `subjects`: the digests of the
    things that it is about, with the second in which each was seen last; `found`: the most of them
    at once. `level`: how often it was escalated, each time to one person more. `pause_asked_at` is
    set while payouts are still to be paused for it.
    """

    kind = models.CharField(max_length=40)
    cause = models.CharField(max_length=200)
    detector = models.CharField(max_length=60)
    severity = models.CharField(max_length=2, choices=Severity)
    facts = models.JSONField(encoder=DjangoJSONEncoder)
    page = models.CharField(max_length=300, blank=True)
    subjects = models.JSONField(default=dict)
    found = models.PositiveIntegerField(default=0)
    since_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)
    episode = models.PositiveSmallIntegerField(default=1)
    respond_by = models.DateTimeField()
    told_at = models.DateTimeField()
    repeats = models.PositiveIntegerField(default=0)
    level = models.PositiveSmallIntegerField(default=0)
    pause_asked_at = models.DateTimeField(null=True)
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    note = models.TextField(blank=True)

    class Meta:
        db_table = "incidents"
        constraints = [
            models.UniqueConstraint(
                name="incident_one_open_per_cause",
                fields=["cause"],
                condition=Q(resolved_at=None),
            ),
            models.CheckConstraint(
                name="incident_severity_known", condition=Q(severity__in=["P0", "P1", "P2", "P3"])
            ),
            models.CheckConstraint(
                name="incident_acknowledged_by_somebody",
                condition=Q(acknowledged_at=None, acknowledged_by=None)
                | Q(acknowledged_at__isnull=False, acknowledged_by__isnull=False),
            ),
            models.CheckConstraint(
                name="incident_resolved_with_note",
                condition=Q(resolved_at=None, resolved_by=None, note="")
                | (Q(resolved_at__isnull=False) & ~Q(note="")),
            ),
            models.CheckConstraint(
                name="incident_grave_ones_need_a_person",
                condition=Q(resolved_at=None)
                | Q(severity__in=["P2", "P3"])
                | Q(resolved_by__isnull=False),
            ),
            models.CheckConstraint(
                name="incident_seen_after_it_opened", condition=Q(last_seen_at__gte=F("since_at"))
            ),
        ]
        indexes = [
            models.Index(name="incident_open", fields=["severity"], condition=Q(resolved_at=None)),
            models.Index(name="incident_newest", fields=["-opened_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.pk} · {self.severity} {self.cause}"

    @property
    def is_grave(self) -> bool:
        """Whether only a person may resolve it."""
        return self.severity in {Severity.P0, Severity.P1}

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is to be told again: somebody answers for it, or it needs nobody."""
        over = self.gone_at is not None and not self.is_grave
        return self.acknowledged_at is not None or self.resolved_at is not None or over


class IncidentEntry(models.Model):
    """What happened to an incident. Triggers refuse to change it."""

    class What(models.TextChoices):
        OPENED = "OPENED"
        GONE = "GONE"
        BACK = "BACK"
        MORE = "MORE"  # another thing of the same cause was found, or more of them
        REPEATED = "REPEATED"
        ESCALATED = "ESCALATED"
        PAUSED = "PAUSED"  # payouts were paused for it
        NOT_PAUSED = "NOT_PAUSED"  # an operator had resumed them meanwhile
        ACKNOWLEDGED = "ACKNOWLEDGED"
        ASSIGNED = "ASSIGNED"
        RESOLVED = "RESOLVED"

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="history")
    at = models.DateTimeField()
    what = models.CharField(max_length=16, choices=What)
    actor = models.CharField(max_length=80)
    note = models.TextField(blank=True)
    facts = models.JSONField(encoder=DjangoJSONEncoder)

    class Meta:
        db_table = "incident_history"
        verbose_name = _("incident's history")
        verbose_name_plural = _("incidents' history")


class Alert(models.Model):
    """One message of one incident to one recipient over one channel.

    `recipient`: `operator:ID` in Telegram, an e-mail address, or `hook`. `number` tells apart what
    is said for the same reason: an episode, a repetition, an escalation, a find. `due_at` in the
    future is another attempt, or the lease of who sends it; who holds the last number of `attempts`
    holds the row. `perhaps_sent`: an attempt was begun of which nobody knows how it ended.
    """

    class Channel(models.TextChoices):
        TELEGRAM = "TELEGRAM"
        HOOK = "HOOK"
        EMAIL = "EMAIL"

    class Reason(models.TextChoices):
        OPENED = "OPENED"
        REPEATED = "REPEATED"
        ESCALATED = "ESCALATED"
        GONE = "GONE"
        MORE = "MORE"

    class State(models.TextChoices):
        PENDING = "PENDING"
        SENT = "SENT"
        FAILED = "FAILED"

    incident = models.ForeignKey(Incident, models.PROTECT, related_name="alerts")
    channel = models.CharField(max_length=8, choices=Channel)
    recipient = models.CharField(max_length=254)
    reason = models.CharField(max_length=9, choices=Reason)
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=7, choices=State, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    perhaps_sent = models.BooleanField(default=False)
    due_at = models.DateTimeField()
    error = models.TextField(blank=True)
    text = models.TextField(blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "incident_alerts"
        constraints = [
            models.UniqueConstraint(
                name="alert_once",
                fields=["incident", "channel", "recipient", "reason", "number"],
            ),
            models.CheckConstraint(
                name="alert_channel_known",
                condition=Q(channel__in=["TELEGRAM", "HOOK", "EMAIL"]),
            ),
            models.CheckConstraint(
                name="alert_reason_known",
                condition=Q(reason__in=["OPENED", "REPEATED", "ESCALATED", "GONE", "MORE"]),
            ),
            models.CheckConstraint(
                name="alert_sent_has_time_and_text",
                condition=(Q(state="SENT", sent_at__isnull=False) & ~Q(text=""))
                | Q(state__in=["PENDING", "FAILED"], sent_at=None),
            ),
            models.CheckConstraint(
                name="alert_failed_has_error", condition=~Q(state="FAILED") | ~Q(error="")
            ),
        ]
        indexes = [
            models.Index(name="alert_due", fields=["due_at"], condition=Q(state="PENDING")),
            models.Index(name="alert_newest", fields=["-created_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.channel} {self.recipient}"


class RotaEntry(models.Model):
    """A person to be woken: the first of the rota at once, the others as it escalates."""

    position = models.PositiveSmallIntegerField(unique=True)
    operator = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    email = models.EmailField(blank=True)

    class Meta:
        db_table = "rota"
        verbose_name = _("person of the rota")
        verbose_name_plural = _("rota")

    def __str__(self) -> str:
        return f"{self.position}"


class QueueHeartbeat(models.Model):
    """When a Celery queue last did what beat asked of it."""

    queue = models.CharField(max_length=40, primary_key=True)
    beaten_at = models.DateTimeField()

    class Meta:
        db_table = "queue_heartbeats"
