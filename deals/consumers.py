"""What deals do when payments tells of money; the sweepers of `deals.tasks` do the same later."""

from __future__ import annotations

from datetime import datetime

from advertmarket.actors import Actor
from advertmarket.messaging.consumer import consumes
from payments import selectors as payments
from payments.events import DepositConfirmed, SettlementConfirmed

from . import services

GROUP = "cg-deals"
ACTOR = Actor.system(GROUP)


@consumes(DepositConfirmed, group=GROUP)
def fund_deal(event: DepositConfirmed, *, at: datetime) -> None:
    """The escrow holds the price: the deal goes on."""
    services.fund_deal(deal_id=event.deal_id, actor=ACTOR, at=at)


@consumes(SettlementConfirmed, group=GROUP)
def complete_deal(event: SettlementConfirmed, *, at: datetime) -> None:
    """The owner has the payout: the deal is complete."""
    if event.kind == payments.PAYOUT:
        services.complete_deal(deal_id=event.deal_id, actor=ACTOR, at=at)
