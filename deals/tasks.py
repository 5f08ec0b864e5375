"""Periodic work of deals: each task can be woken, and is run by beat anyway."""

from __future__ import annotations

from celery import shared_task

from . import sweeps
from .delivery.publisher import Publisher
from .delivery.verifier import check_next

_BATCH = 10


@shared_task(name="deals.tasks.request_payments", ignore_result=True)
def request_payments() -> None:
    """Give accepted deals their deposit addresses."""
    sweeps.request_payments()


@shared_task(name="deals.tasks.follow_money", ignore_result=True)
def follow_money() -> None:
    """Go on with what is paid in, end what is settled."""
    sweeps.fund_deals()
    sweeps.settle_deals()


@shared_task(name="deals.tasks.end_overdue_deals", ignore_result=True)
def end_overdue_deals() -> None:
    """End or dispute deals whose deadline has passed, escalate disputes that nobody decided."""
    sweeps.end_overdue_deals()
    sweeps.escalate_disputes()


@shared_task(name="deals.tasks.post_due", ignore_result=True)
def post_due() -> None:
    """Post the ads that are due."""
    publisher = Publisher()
    while publisher.run(at_most=_BATCH):
        pass


@shared_task(name="deals.tasks.check_posts", ignore_result=True)
def check_posts() -> None:
    """Look at the posts that are due for it."""
    while check_next():
        pass
