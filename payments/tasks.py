"""Periodic work of the money: each task can be woken, and is run by beat anyway."""

from __future__ import annotations

import functools
import logging

from celery import shared_task
from django.db import transaction
from django.utils import timezone

from .deposits import apply_rule, ready_deposits
from .executor import Executor, make_signer
from .ton import client
from .ton.client import TonUnavailable
from .ton.wallet import Signer
from .wallets import refill_stock

logger = logging.getLogger(__name__)

_BATCH = 10


@shared_task(name="payments.tasks.execute_settlements", ignore_result=True)
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
