"""What people, beat and the network do, where a rule of the machine is not enough."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import services as accounts
from advertmarket.actors import Actor
from payments import services
from payments.deposits import partials, review
from payments.sending import sweep, unclaimed
from tests.payments.bank import ACTOR

from .expected import Deal
from .world import World

_NO_ANSWER = 0


def set_payout_address(world: World, deal: Deal, address: str) -> None:
    """The owner says where payouts go."""
    with transaction.atomic():
        accounts.set_payout_address(
            user_id=deal.owner_id,
            address=address,
            typed_by_hand=True,
            actor=Actor.user(deal.owner_id),
            at=timezone.now(),
        )
    if address not in (world.refuser, deal.address):
        deal.owner_at.add(address)


def set_refund_address(world: World, deal: Deal, address: str) -> None:
    """The advertiser says where refunds go."""
    with transaction.atomic():
        services.set_refund_destination(
            reference=deal.reference,
            user_id=deal.advertiser_id,
            address=address,
            comment="",
            typed_by_hand=True,
            actor=Actor.user(deal.advertiser_id),
            at=timezone.now(),
        )
    if address not in (world.refuser, deal.address):
        deal.advertiser_at.add(address)


def close(deal: Deal, *, expired: bool) -> None:
    """A deal ends unpaid.

    Raises:
        EscrowNotEmpty, ChainBehind: not now.
    """
    with transaction.atomic():
        services.close_escrow(
            reference=deal.reference, expired=expired, actor=ACTOR, at=timezone.now()
        )


def release(deal: Deal) -> None:
    """The ad stood as agreed.

    Raises:
        EscrowNotFunded: there is nothing to release.
    """
    with transaction.atomic():
        services.release_escrow(
            reference=deal.reference,
            owner_id=deal.owner_id,
            owner_share_nano=deal.owner_share_nano,
            actor=ACTOR,
            at=timezone.now(),
        )


def refund(deal: Deal) -> None:
    """The ad did not stand.

    Raises:
        EscrowNotFunded: there is nothing to refund.
    """
    with transaction.atomic():
        services.refund_escrow(reference=deal.reference, actor=ACTOR, at=timezone.now())


def housekeep() -> None:
    """What beat runs: partial deposits go back, people are reminded, commission is swept."""
    at = timezone.now()
    for escrow in partials.stale_partials(at=at):
        with transaction.atomic():
            partials.return_stale_partial(escrow=escrow, at=at)
    with transaction.atomic():
        review.remind_of_reviews(at=at)
    with transaction.atomic():
        unclaimed.remind(at=at)
    for reference in sweep.sweepable():
        with transaction.atomic():
            sweep.owe_sweep(reference=reference, at=at)


def order_fault(world: World, method: str, kind: str, times: int) -> None:
    """Let the next calls of a method go wrong."""
    fault = world.chain.fault
    match kind:
        case "cut":
            fault(method, "lost_answer", status=_NO_ANSWER, times=times)
        case "lost_answer" | "swallow" | "hold" | "lagging" | "unindexed" | "error":
            fault(method, kind, times=times)
        case "refusal":
            fault(method, "error", status=422, times=times)
        case "rate limit":
            world.chain.rate_limited(method, times=times)
        case "delay":
            fault(method, "delay", delay_ms=1, times=times)
        case _:
            raise ValueError(kind)
