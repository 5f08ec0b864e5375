"""Periodic work of the money: each task can be woken, and is run by beat anyway."""

from __future__ import annotations

import functools
import logging

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from .deposits.partials import return_stale_partial, stale_partials
from .deposits.review import remind_of_reviews
from .deposits.rule import apply_rule, ready_deposits
from .sending import pause, unclaimed
from .sending.executor import Executor, make_signer
from .sending.settlements import EXECUTE
from .sending.sweep import owe_sweep, sweepable
from .ton import client
from .ton.api import TonUnavailable
from .ton.wallet import Signer
from .wallets import refill_stock

logger = logging.getLogger(__name__)

_BATCH = 10


@shared_task(name=EXECUTE, ignore_result=True)
def execute_settlements() -> None:
    """Take the next step of every due settlement. Runs only where the mnemonic is."""
    executor = Executor(client.for_payouts(), _signer())
    while executor.run(at_most=_BATCH):
        pass


@shared_task(name="payments.tasks.apply_deposits", ignore_result=True)
def apply_deposits() -> None:
    """Apply the rule of every deposit that has its confirmations."""
    for deposit_id in ready_deposits():
        try:
            with transaction.atomic():
                apply_rule(deposit_id=deposit_id, at=timezone.now())
        except Exception:  # one that cannot be decided keeps no other one waiting
            logger.exception("deposit %s", deposit_id)


@shared_task(name="payments.tasks.return_stale_partials", ignore_result=True)
def return_stale_partials() -> None:
    """Give back what has waited a day for the rest of the price."""
    for escrow in stale_partials(at=timezone.now()):
        try:
            with transaction.atomic():
                return_stale_partial(escrow=escrow, at=timezone.now())
        except Exception:  # one that cannot be given back keeps no other one waiting
            logger.exception("the partial deposit of %s", escrow.reference)


@shared_task(name="payments.tasks.remind", ignore_result=True)
def remind() -> None:
    """Remind operators of large deposits, and owners of payouts that nobody claimed."""
    with transaction.atomic():
        remind_of_reviews(at=timezone.now())
    with transaction.atomic():
        unclaimed.remind(at=timezone.now())


@shared_task(name="payments.tasks.watch_pause", ignore_result=True)
def watch_pause() -> None:
    """Notice what was changed of the pause in Redis by hand."""
    pause.watch_pause(timezone.now())


@shared_task(name="payments.tasks.sweep_commission", ignore_result=True)
def sweep_commission() -> None:
    """Owe the treasury the commission of every deal that owes nothing else."""
    for reference in sweepable():
        try:
            with transaction.atomic():
                owe_sweep(reference=reference, at=timezone.now())
        except Exception:  # one that cannot be swept keeps no other one waiting
            logger.exception("the commission of %s", reference)


@shared_task(name="payments.tasks.prepare_wallets", ignore_result=True)
def prepare_wallets() -> None:
    """Keep unused deposit addresses in stock."""
    try:
        refill_stock(client.reading(), at=timezone.now())
    except TonUnavailable as away:
        logger.warning("the stock of wallets waits: %s", away)


@functools.cache
def _signer() -> Signer:
    return make_signer()
