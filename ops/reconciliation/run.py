"""Run the checks on one consistent snapshot, one run at a time, and store the report."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from psycopg.errors import LockNotAvailable

from advertmarket.actors import Actor
from advertmarket.audit import verify
from advertmarket.errors import Code, DomainError
from ops.checks import EVERYTHING, Check, Scope, all_checks
from ops.checks.audit_log import the_audit_log_is_unbroken
from ops.models import Checkpoint, ReconciliationResult, ReconciliationRun
from ops.query import rows

from . import checkpoint
from .examine import Outcome, ask, examine

logger = logging.getLogger(__name__)

Kind = ReconciliationRun.Kind

_ONE_RUN_LOCK = 0x7265636F6E
_SEALS_AGAIN = 5
"""How many of the blocks that the last run proved are looked at once more: a minute's, nearly."""

_IN_PROGRESS = """
SELECT EXISTS (
    SELECT FROM pg_locks
     WHERE locktype = 'advisory' AND granted AND objsubid = 1
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (classid::bigint << 32) + objid::bigint = %(lock)s)
"""


class AnotherRun(DomainError):
    """Another run goes on, and did not end in the 10 s that a connection waits for a lock."""

    code: ClassVar[Code] = Code.SERVICE_UNAVAILABLE
    message = _("Another reconciliation is running. Try again in a minute.")
    retry_after_s = 60


def reconcile(
    kind: ReconciliationRun.Kind,
    *,
    asked_by: Actor,
    ask_chain: bool = True,
    forget_checkpoint: bool = False,
) -> ReconciliationRun:
    """Run the checks and return the stored report.

    An incremental run takes what lies before the checkpoint from there, if there is one; a full
    one asks the tables for everything, and (with `ask_chain`) the chain for each wallet's balance.
    If the run itself breaks down, so does the report: it says why, and that nothing passed.
    Runs outside a database transaction, since it opens its own; may call the network before.

    Raises:
        AnotherRun: another one goes on.
    """
    started_at = timezone.now()
    checks = all_checks(full=kind == Kind.FULL and ask_chain)
    told = {check: ask(check) for check in checks}
    try:
        with _alone():
            upto = checkpoint.reach()
            with _snapshot():
                if forget_checkpoint:
                    checkpoint.forget()
                run = _run(kind, asked_by, started_at, checks, told, upto)
    except AnotherRun:
        raise
    except Exception as failure:
        logger.exception("the reconciliation broke down")
        run = _broke_down(kind, asked_by, started_at, failure)
    return run


def is_in_progress() -> bool:
    """Return whether a run goes on now, in whatever process."""
    [(found,)] = rows(_IN_PROGRESS, {"lock": _ONE_RUN_LOCK})
    return bool(found)


def _run(
    kind: ReconciliationRun.Kind,
    asked_by: Actor,
    started_at: dt.datetime,
    checks: Sequence[Check],
    told: dict[Check, object],
    upto: int,
) -> ReconciliationRun:
    at = timezone.now()
    since = checkpoint.load()
    scope = _scope(kind, since)
    outcomes = [examine(check, told=told[check], at=at, scope=scope) for check in checks]
    run = ReconciliationRun.objects.create(
        kind=kind,
        asked_by=str(asked_by),
        started_at=started_at,
        finished_at=timezone.now(),
        since_posting=scope.after,
        passed=_verdict(outcomes),
    )
    ReconciliationResult.objects.bulk_create(outcome.result_of(run) for outcome in outcomes)
    if all(outcome.passed for outcome in outcomes if outcome.look.relies_on_checkpoint):
        checkpoint.seal(since=since, upto=upto, at=at)
    return run


def _scope(kind: ReconciliationRun.Kind, since: Checkpoint | None) -> Scope:
    if kind == Kind.FULL:
        return EVERYTHING
    begins = checkpoint.scope_since(since) if since else EVERYTHING
    return replace(begins, after_seal=max(0, _proved_seals() - _SEALS_AGAIN))


def _proved_seals() -> int:
    """The last block of the audit log that a run has proved, and that there still is; or 0."""
    passed = ReconciliationResult.objects.filter(
        name=the_audit_log_is_unbroken.__name__, passed=True
    )
    proved, last = passed.order_by("-run_id").first(), verify.last_seal()
    return min(proved.figures.get("blocks", 0), last.number) if proved and last else 0


def _verdict(outcomes: Sequence[Outcome]) -> bool | None:
    """Return False if anything failed, else None if anything could not be looked at."""
    verdicts = {outcome.passed for outcome in outcomes}
    return False if False in verdicts else None if None in verdicts else True


def _broke_down(
    kind: ReconciliationRun.Kind, asked_by: Actor, started_at: dt.datetime, failure: Exception
) -> ReconciliationRun:
    return ReconciliationRun.objects.create(
        kind=kind,
        asked_by=str(asked_by),
        started_at=started_at,
        finished_at=timezone.now(),
        passed=False,
        error=f"{type(failure).__name__}: {failure}",
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Hold this connection's lock on running: taken before the snapshot, which must be newer."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_ONE_RUN_LOCK])
        except OperationalError as error:
            if isinstance(error.__cause__, LockNotAvailable):
                raise AnotherRun from error
            raise
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_ONE_RUN_LOCK])


@contextmanager
def _snapshot() -> Iterator[None]:
    """A database transaction in which every query sees the books as the first one saw them."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield
