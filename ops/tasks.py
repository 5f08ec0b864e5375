"""The periodic work of operations: each task can be woken, and is run by beat anyway."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from advertmarket.actors import Actor
from advertmarket.celery import DEFAULT_QUEUE, SIGNER_QUEUE, TELEGRAM_QUEUE

from . import questions
from .models import QueueHeartbeat, ReconciliationRun
from .reconciliation import AnotherRun, reconcile
from .reconciliation.retention import delete_old_runs

logger = logging.getLogger(__name__)

_BEAT = Actor.system("beat")


@shared_task(name=questions.ANSWER, ignore_result=True)
def answer_operators() -> None:
    """Answer what operators asked the bot."""
    while questions.answer_next():
        pass


@shared_task(name="ops.tasks.reconcile_newest", ignore_result=True)
def reconcile_newest() -> None:
    """Check what came since the checkpoint."""
    _reconcile(ReconciliationRun.Kind.INCREMENTAL)


@shared_task(name="ops.tasks.reconcile_everything", ignore_result=True)
def reconcile_everything() -> None:
    """Check everything, and ask the chain for each wallet's balance."""
    _reconcile(ReconciliationRun.Kind.FULL)


@shared_task(name="ops.tasks.forget_old_runs", ignore_result=True)
def forget_old_runs() -> None:
    """Delete reports whose time is over."""
    delete_old_runs(at=timezone.now())


def _reconcile(kind: ReconciliationRun.Kind) -> None:
    try:
        run = reconcile(kind, asked_by=_BEAT)
    except AnotherRun:
        logger.warning("another reconciliation goes on: this one (%s) is left out", kind)
        return
    for result in run.results.exclude(passed=True):
        said = result.error or f"{result.found} found, such as {result.rows[0]}"
        logger.error("check %s %s: %s", result.number, result.name, said)


@shared_task(name="ops.tasks.tick", ignore_result=True)
def tick() -> None:
    """Say that the default queue is worked on."""
    _beat(DEFAULT_QUEUE)


@shared_task(name="ops.tasks.tick_signer", ignore_result=True)
def tick_signer() -> None:
    """Say that the signer's queue is worked on."""
    _beat(SIGNER_QUEUE)


@shared_task(name="ops.tasks.tick_telegram", ignore_result=True)
def tick_telegram() -> None:
    """Say that the queue of what waits for Telegram is worked on."""
    _beat(TELEGRAM_QUEUE)


def _beat(queue: str) -> None:
    QueueHeartbeat.objects.update_or_create(queue=queue, defaults={"beaten_at": timezone.now()})
