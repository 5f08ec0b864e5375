"""What running the checks of the books leaves: a report of each run, and where the next begins."""

from __future__ import annotations

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q


class ReconciliationRun(models.Model):
    """One run of the checks on one snapshot; it is stored whole, or not at all.

    `since_posting`: postings up to this id were taken from the checkpoint; 0 if none was. `passed`
    is empty if nothing was found, but something could not be looked at. A run with an `error` broke
    down before it could say anything.
    """

    class Kind(models.TextChoices):
        INCREMENTAL = "INCREMENTAL"
        FULL = "FULL"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=16, choices=Kind)
    asked_by = models.CharField(max_length=100)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    since_posting = models.BigIntegerField(default=0)
    passed = models.BooleanField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        db_table = "reconciliation_runs"
        constraints = [
            models.CheckConstraint(
                name="reconciliation_run_kind_known",
                condition=Q(kind__in=["INCREMENTAL", "FULL"]),
            ),
            models.CheckConstraint(
                name="reconciliation_run_broke_down_or_not",
                condition=Q(error="") | Q(passed=False),
            ),
        ]
        indexes = [models.Index(name="reconciliation_run_ended", fields=["finished_at"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at:%Y-%m-%d %H:%M:%S}"


class ReconciliationResult(models.Model):
    """What one check said in one run.

    `passed` is empty if it could not look, false if it found something or broke down; `error` says
    why. `found` counts all, `rows` holds the first of them as [subject, problem]. `sql` is what can
    be pasted into psql: it asks for everything, whatever the run took from the checkpoint. `since`:
    the posting, or the block of the audit log, after which it looked; 0 if it looked at everything.
    """

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(ReconciliationRun, models.CASCADE, related_name="results")
    number = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=100)
    severity = models.CharField(max_length=8)
    passed = models.BooleanField(null=True)
    found = models.PositiveIntegerField(default=0)
    figures = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    sql = models.TextField(blank=True)
    rows = models.JSONField(default=list)
    error = models.TextField(blank=True)
    since = models.BigIntegerField(default=0)
    duration_ms = models.PositiveIntegerField()

    class Meta:
        db_table = "reconciliation_results"
        constraints = [
            models.UniqueConstraint(
                name="reconciliation_result_once_a_run", fields=["run", "number", "name"]
            ),
            models.CheckConstraint(
                name="reconciliation_result_says_why",
                condition=Q(passed=True, found=0, error="")
                | (Q(passed=False) & (Q(found__gt=0) | ~Q(error="")))
                | (Q(passed=None, found=0) & ~Q(error="")),
            ),
        ]
        indexes = [
            models.Index(name="reconciliation_result_of", fields=["name", "-run"]),
            models.Index(
                name="reconciliation_result_whole",
                fields=["name", "-run"],
                condition=Q(passed=True, since=0),
            ),
            models.Index(
                name="reconciliation_result_failing",
                fields=["name", "-run"],
                condition=Q(passed=False) | Q(passed=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


class Checkpoint(models.Model):
    """Up to which posting the books are proved and summed up; `mac` seals it and its sums.

    No posting up to `posting_id` can still be committed. `block_seqno` is the masterchain block
    that was booked by then.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    posting_id = models.BigIntegerField()
    block_seqno = models.BigIntegerField()
    sealed_at = models.DateTimeField()
    mac = models.CharField(max_length=64)

    class Meta:
        db_table = "reconciliation_checkpoint"
        constraints = [
            models.CheckConstraint(
                name="reconciliation_checkpoint_single", condition=Q(id=1, posting_id__gt=0)
            )
        ]


class CheckpointSum(models.Model):
    """Credits less debits of an account up to the checkpoint, if that is not 0.

    `detail` tells EXTERNAL_TON's wallets and NETWORK_FEES' kinds of journal apart.
    """

    pk = models.CompositePrimaryKey("account", "detail")
    account = models.CharField(max_length=80)
    detail = models.CharField(max_length=32, blank=True)
    nano = models.BigIntegerField()

    class Meta:
        db_table = "reconciliation_sums"
