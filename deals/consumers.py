"""What deals do when payments tells of money; the sweepers of `deals.tasks` do the same later."""

from __future__ import annotations

from datetime import datetime

from advertmarket.actors import Actor
from advertmarket.messaging.consumer import consumes
from payments.events import DepositConfirmed, DepositRejected, EscrowSettled

from . import endings, services

GROUP = "cg-deals"
ACTOR = Actor.system(GROUP)


@consumes(DepositConfirmed, group=GROUP)
def fund_deal(event: DepositConfirmed, *, at: datetime) -> None:
    """The escrow holds the price: the deal goes on."""
    services.fund_deal(deal_id=event.deal_id, actor=ACTOR, at=at)


@consumes(DepositRejected, group=GROUP)
def cancel_deal(event: DepositRejected, *, at: datetime) -> None:
    """An operator rejected the deposit: the deal is over."""
    endings.cancel_rejected(deal_id=event.deal_id, actor=ACTOR, at=at)


@consumes(EscrowSettled, group=GROUP)
def settle_deal(event: EscrowSettled, *, at: datetime) -> None:
    """Everybody has what was decided: the deal ends, unless it had ended with the decision."""
    endings.settle_deal(deal_id=event.deal_id, actor=ACTOR, at=at)
