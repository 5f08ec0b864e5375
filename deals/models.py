"""The tables of deals. Only this app writes them; a deal's status only `deals.moves`."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from advertmarket.money import NANO_PER_TON

from .lifecycle import DEADLINE_S, Action, Status

MAX_COMMISSION_BP = 5_000

_PUBLISHED = (
    Status.PUBLISHED,
    Status.DELIVERY_VERIFYING,
    Status.DELIVERY_VERIFIED,
)
_PERHAPS_PUBLISHED = (
    Status.DISPUTED,
    Status.COMPLETED_RELEASED,
    Status.REFUNDED,
    Status.PARTIALLY_REFUNDED,
    Status.EXPIRED,
)
_WORKED_ON = (Status.ACCEPTED, Status.SCHEDULED)


class Hold(models.TextChoices):
    """Why a deal waits for an operator."""

    POST_REFUSED = "POST_REFUSED"
    POST_UNRESOLVED = "POST_UNRESOLVED"


class Side(models.TextChoices):
    """The two sides of a deal."""

    ADVERTISER = "advertiser"
    OWNER = "owner"


class Tone(models.TextChoices):
    """How an ad should sound."""

    FORMAL = "FORMAL"
    CASUAL = "CASUAL"
    HUMOROUS = "HUMOROUS"
    INFORMATIVE = "INFORMATIVE"
    URGENT = "URGENT"


class Deal(models.Model):
    """One ad of one advertiser in one channel, from the offer to the payout.

    `version` counts the rows of its history. `due_at` is when a worker takes the next step, of a
    status that waits for one, and `waiting_for` what kept the last attempt; `leased_until` is that
    worker's lease. `channel_was_public`: it had a username at the publication. What is held
    (`held_at`) is moved by nobody but an operator. `cancel_asked_by`: this side wants a paid deal
    cancelled, and the other has not agreed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    status = models.CharField(max_length=32, choices=Status, default=Status.DRAFT)
    version = models.PositiveIntegerField(default=0)
    advertiser = models.ForeignKey("accounts.TelegramUser", models.PROTECT, related_name="+")
    owner = models.ForeignKey("accounts.TelegramUser", models.PROTECT, related_name="+")
    channel = models.ForeignKey("channels.Channel", models.PROTECT, related_name="+")
    format = models.CharField(max_length=16)
    price_nano = models.BigIntegerField()
    commission_rate_bp = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True)
    status_since_at = models.DateTimeField()
    deadline_at = models.DateTimeField(null=True)
    publish_at = models.DateTimeField(null=True)
    published_at = models.DateTimeField(null=True)
    retention_ends_at = models.DateTimeField(null=True)
    channel_was_public = models.BooleanField(default=False)
    due_at = models.DateTimeField(null=True)
    waiting_for = models.CharField(max_length=300, blank=True)
    lease_owner = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    held_at = models.DateTimeField(null=True)
    hold_reason = models.CharField(max_length=32, blank=True, choices=Hold)
    hold_note = models.CharField(max_length=500, blank=True)
    cancel_asked_by = models.CharField(max_length=10, blank=True, choices=Side)

    class Meta:
        db_table = "deals"
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="deal_newest_first"),
            models.Index(fields=["advertiser", "-created_at"], name="deal_of_advertiser"),
            models.Index(fields=["channel", "-created_at"], name="deal_of_channel"),
            models.Index(fields=["status"], name="deal_status"),
            models.Index(fields=["due_at"], name="deal_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["deadline_at"],
                name="deal_deadline",
                condition=Q(deadline_at__isnull=False, held_at__isnull=True),
            ),
        ]
        constraints = [
            models.CheckConstraint(name="deal_status_known", condition=Q(status__in=Status.values)),
            models.CheckConstraint(
                name="deal_price_at_least_one_ton", condition=Q(price_nano__gte=NANO_PER_TON)
            ),
            models.CheckConstraint(
                name="deal_commission_in_bounds",
                condition=Q(commission_rate_bp__lte=MAX_COMMISSION_BP),
            ),
            models.CheckConstraint(
                name="deal_submitted_with_time",
                condition=Q(status=Status.DRAFT, submitted_at=None)
                | Q(status=Status.CANCELLED)
                | (~Q(status__in=[Status.DRAFT, Status.CANCELLED]) & Q(submitted_at__isnull=False)),
            ),
            models.CheckConstraint(
                name="deal_waiting_with_deadline",
                condition=Q(status__in=list(DEADLINE_S), deadline_at__isnull=False)
                | (~Q(status__in=list(DEADLINE_S)) & Q(deadline_at=None)),
            ),
            models.CheckConstraint(
                name="deal_worked_on_when_due",
                condition=Q(status__in=_WORKED_ON, due_at__isnull=False)
                | (~Q(status__in=_WORKED_ON) & Q(due_at=None)),
            ),
            models.CheckConstraint(
                name="deal_scheduled_with_time",
                condition=Q(status__in=[Status.SCHEDULED, *_PUBLISHED], publish_at__isnull=False)
                | Q(status__in=_PERHAPS_PUBLISHED)
                | (
                    ~Q(status__in=[Status.SCHEDULED, *_PUBLISHED, *_PERHAPS_PUBLISHED])
                    & Q(publish_at=None)
                ),
            ),
            models.CheckConstraint(
                name="deal_published_with_times",
                condition=Q(
                    status__in=[*_PUBLISHED, *_PERHAPS_PUBLISHED],
                    published_at__isnull=False,
                    retention_ends_at__isnull=False,
                )
                | (~Q(status__in=_PUBLISHED) & Q(published_at=None, retention_ends_at=None)),
            ),
            models.CheckConstraint(
                name="deal_cancellation_asked_while_paid",
                condition=Q(cancel_asked_by="")
                | Q(status=Status.FUNDED, cancel_asked_by__in=Side.values),
            ),
            models.CheckConstraint(
                name="deal_held_with_reason",
                condition=Q(held_at=None, hold_reason="", hold_note="")
                | (Q(held_at__isnull=False) & ~Q(hold_reason="")),
            ),
            models.CheckConstraint(
                name="deal_leased_by_someone",
                condition=Q(lease_owner=None, leased_until=None)
                | Q(lease_owner__isnull=False, leased_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.id} · {self.status}"

    @property
    def owner_share_nano(self) -> int:
        """What the owner gets of the price, in nanoTON; the rest is the commission."""
        return self.price_nano - self.price_nano * self.commission_rate_bp // 10_000


class DealEvent(models.Model):
    """One line of a deal's history: a transition, or a hold (with that the status stays)."""

    HOLD = "HOLD"

    id = models.BigAutoField(primary_key=True)
    deal = models.ForeignKey(Deal, models.PROTECT, related_name="events")
    version = models.PositiveIntegerField()
    action = models.CharField(max_length=32)
    from_status = models.CharField(max_length=32, choices=Status)
    to_status = models.CharField(max_length=32, choices=Status)
    actor = models.CharField(max_length=100)
    reason = models.CharField(max_length=1000, blank=True)
    correlation_id = models.UUIDField()
    at = models.DateTimeField()

    class Meta:
        db_table = "deal_events"
        constraints = [
            models.UniqueConstraint(fields=["deal", "version"], name="deal_event_version_once"),
            models.CheckConstraint(
                name="deal_event_action_known", condition=Q(action__in=[*Action.values, "HOLD"])
            ),
        ]


class Brief(models.Model):
    """What the advertiser asks for. Links must be in the ad, forbidden words must not."""

    deal = models.OneToOneField(Deal, models.PROTECT, primary_key=True, related_name="brief")
    text = models.CharField(max_length=2000)
    audience = models.CharField(max_length=500, blank=True)
    tone = models.CharField(max_length=16, blank=True, choices=Tone)
    links = models.JSONField(default=list)
    media = models.JSONField(default=list)
    forbidden_words = models.JSONField(default=list)
    notes = models.CharField(max_length=2000, blank=True)

    class Meta:
        db_table = "deal_briefs"
        constraints = [
            models.CheckConstraint(
                name="brief_tone_known", condition=Q(tone__in=["", *Tone.values])
            ),
        ]


class Creative(models.Model):
    """A version of the ad, as the owner's side wrote it, and as Telegram showed it.

    `parts` holds, for each call that posts it, the contents of the messages that the call makes
    (`delivery.content`); Telegram said what they are when the draft was rehearsed.
    """

    deal = models.ForeignKey(Deal, models.PROTECT, related_name="creatives")
    version = models.PositiveSmallIntegerField()
    text = models.TextField(blank=True)
    parse_mode = models.CharField(max_length=16, blank=True)
    media = models.JSONField(default=list)
    buttons = models.JSONField(default=list)
    buttons_text = models.TextField(blank=True)
    link_preview = models.BooleanField(default=True)
    parts = models.JSONField()
    content_hash = models.CharField(max_length=64)
    submitted_by = models.BigIntegerField()
    submitted_at = models.DateTimeField()
    revision_note = models.CharField(max_length=1000, blank=True)
    approved_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "deal_creatives"
        constraints = [
            models.UniqueConstraint(fields=["deal", "version"], name="creative_version_once"),
            models.CheckConstraint(
                name="creative_approved_or_to_revise",
                condition=Q(approved_at=None) | Q(revision_note=""),
            ),
        ]


class PostAttempt(models.Model):
    """One call that posts a part of an ad, written down before it is made.

    STARTED: it may be under way, or its outcome is unknown after a crash or a time-out. No message
    of the channel that we knew of before had an id above `known_message_id`; ids up to
    `searched_to` were looked at and are not it. UNRESOLVED: an operator must look.
    """

    class State(models.TextChoices):
        STARTED = "STARTED"
        POSTED = "POSTED"
        REFUSED = "REFUSED"
        UNRESOLVED = "UNRESOLVED"

    deal = models.ForeignKey(Deal, models.PROTECT, related_name="post_attempts")
    channel = models.ForeignKey("channels.Channel", models.PROTECT, related_name="+")
    part = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=16, choices=State, default=State.STARTED)
    known_message_id = models.BigIntegerField()
    searched_to = models.BigIntegerField()
    message_ids = models.JSONField(default=list)
    error = models.CharField(max_length=500, blank=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "post_attempts"
        constraints = [
            models.CheckConstraint(
                name="post_attempt_ended_with_time",
                condition=Q(state="STARTED", ended_at=None)
                | Q(state__in=["POSTED", "REFUSED", "UNRESOLVED"], ended_at__isnull=False),
            ),
            models.CheckConstraint(
                name="post_attempt_posted_with_messages",
                condition=Q(state="POSTED") & ~Q(message_ids=[])
                | ~Q(state="POSTED") & Q(message_ids=[]),
            ),
            models.UniqueConstraint(
                name="post_attempt_one_per_part",
                fields=["deal", "part"],
                condition=~Q(state="REFUSED"),
            ),
            models.UniqueConstraint(
                name="post_attempt_one_under_way_per_channel",
                fields=["channel"],
                condition=Q(state="STARTED"),
            ),
        ]


class PlannedCheck(models.Model):
    """A look at the post that is due at `due_at`; `verdict` is the one that ended it.

    `suspected`: the messages that a probe did not find, by id, with the time of that; both probes
    have to agree on each some minutes later. `open_probes`: how often buttons were set again and
    no answer came: they may have been other ones.
    """

    deal = models.ForeignKey(Deal, models.PROTECT, related_name="planned_checks")
    planned_at = models.DateTimeField()
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    suspected = models.JSONField(default=dict)
    open_probes = models.PositiveSmallIntegerField(default=0)
    done_at = models.DateTimeField(null=True)
    verdict = models.CharField(max_length=32, blank=True)

    class Meta:
        db_table = "planned_checks"
        indexes = [
            models.Index(fields=["due_at"], name="planned_check_due", condition=Q(done_at=None)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["deal", "planned_at"], name="planned_check_once"),
            models.CheckConstraint(
                name="planned_check_done_with_verdict",
                condition=Q(done_at=None, verdict="") | (Q(done_at__isnull=False) & ~Q(verdict="")),
            ),
        ]


class PostingCheck(models.Model):
    """What one look at the post found: the answers of both probes, and the verdict."""

    id = models.BigAutoField(primary_key=True)
    deal = models.ForeignKey(Deal, models.PROTECT, related_name="posting_checks")
    planned = models.ForeignKey(PlannedCheck, models.PROTECT, related_name="results")
    verdict = models.CharField(max_length=32)
    markup_probe = models.CharField(max_length=32)
    forward_probe = models.CharField(max_length=32)
    detail = models.CharField(max_length=1000, blank=True)
    at = models.DateTimeField()

    class Meta:
        db_table = "posting_checks"


class Dispute(models.Model):
    """A disagreement about a deal's money, and how it was decided.

    `owner_bp` is the owner's part of a split, in basis points of what escrow holds. A dispute that
    is not decided by `due_at` is escalated.
    """

    class State(models.TextChoices):
        OPEN = "OPEN"
        DECIDED = "DECIDED"

    class Reason(models.TextChoices):
        QUALITY = "QUALITY", _("the ad is not what was agreed")
        NOT_APPROVED = "NOT_APPROVED", _("the ad was neither approved nor returned in time")
        NOT_POSTED = "NOT_POSTED", _("nobody knows whether the ad was posted")
        POST_DELETED = "POST_DELETED", _("the ad was deleted")
        POST_EDITED = "POST_EDITED", _("the ad was changed")
        POST_EDITED_SLIGHTLY = "POST_EDITED_SLIGHTLY", _("the ad was changed slightly")
        CHANNEL_PRIVATE = "CHANNEL_PRIVATE", _("the channel became private")
        CHANNEL_UNREACHABLE = "CHANNEL_UNREACHABLE", _("the channel cannot be reached")
        INCONCLUSIVE = "INCONCLUSIVE", _("it could not be verified that the ad stayed")
        OTHER = "OTHER", _("another reason")

    class Decision(models.TextChoices):
        RELEASE = "RELEASE", _("the channel is paid")
        REFUND = "REFUND", _("the money goes back")
        SPLIT = "SPLIT", _("the money is divided")

    deal = models.ForeignKey(Deal, models.PROTECT, related_name="disputes")
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    reason = models.CharField(max_length=32, choices=Reason)
    opened_by = models.CharField(max_length=100)
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()
    decision = models.CharField(max_length=16, blank=True, choices=Decision)
    owner_bp = models.PositiveSmallIntegerField(null=True)
    decision_reason = models.CharField(max_length=1000, blank=True)
    decided_by = models.CharField(max_length=100, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "disputes"
        indexes = [
            models.Index(fields=["due_at"], name="dispute_due", condition=Q(state="OPEN")),
            models.Index(fields=["opened_by", "opened_at"], name="dispute_by_whom"),
        ]
        constraints = [
            models.UniqueConstraint(
                name="dispute_one_open_per_deal", fields=["deal"], condition=Q(state="OPEN")
            ),
            models.CheckConstraint(
                name="dispute_decided_whole",
                condition=Q(
                    state="OPEN",
                    decision="",
                    decision_reason="",
                    decided_by="",
                    decided_at=None,
                )
                | (
                    Q(
                        state="DECIDED",
                        decision__in=["RELEASE", "REFUND", "SPLIT"],
                        decided_at__isnull=False,
                    )
                    & ~Q(decision_reason="")
                    & ~Q(decided_by="")
                ),
            ),
            models.CheckConstraint(
                name="dispute_split_in_parts",
                condition=Q(decision="SPLIT", owner_bp__gt=0, owner_bp__lt=10_000)
                | (~Q(decision="SPLIT") & Q(owner_bp=None)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.deal_id} · {self.reason} · {self.state}"


class DisputeEvidence(models.Model):
    """What somebody shows for their side; written once. `content_hash` is SHA-256, in hex."""

    class Kind(models.TextChoices):
        SCREENSHOT = "SCREENSHOT"
        TEXT = "TEXT"
        LINK = "LINK"
        TON_TX = "TON_TX"
        SYSTEM_CHECK = "SYSTEM_CHECK"
        TIMELINE = "TIMELINE"

    id = models.BigAutoField(primary_key=True)
    dispute = models.ForeignKey(Dispute, models.PROTECT, related_name="evidence")
    kind = models.CharField(max_length=16, choices=Kind)
    content = models.TextField()
    content_hash = models.CharField(max_length=64)
    added_by = models.CharField(max_length=100)
    added_at = models.DateTimeField()

    class Meta:
        db_table = "dispute_evidence"
        constraints = [
            models.UniqueConstraint(
                name="dispute_evidence_once",
                fields=["dispute", "added_by", "kind", "content_hash"],
            ),
            models.CheckConstraint(
                name="dispute_evidence_kind_known",
                condition=Q(
                    kind__in=[*("SCREENSHOT", "TEXT", "LINK", "TON_TX", "SYSTEM_CHECK", "TIMELINE")]
                ),
            ),
        ]
