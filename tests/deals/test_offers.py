"""Offer, acceptance, withdrawal: who may, in which state, how many; a refusal changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import DjangoCaptureOnCommitCallbacks

from advertmarket.actors import Actor
from advertmarket.errors import Code, DomainError
from advertmarket.money import NANO_PER_TON
from channels.selectors import ChannelNotFound
from deals import endings, services, sweeps
from deals.endings import NotSettled
from deals.lifecycle import IllegalTransition
from deals.limits import TooManyActiveDeals, TooManyNewDeals
from deals.models import Deal, DealEvent
from deals.moves import DeadlinePassed
from deals.permissions import DealNotFound, NotAllowed
from tests.samples import Since

from .market import (
    ADVERTISER,
    ANNA,
    IVAN,
    OLEG,
    OUTSIDER,
    OWNER,
    PRICE_NANO,
    Command,
    Market,
    brief,
    later,
    nothing_changes,
)


def refused(
    market: Market, error: type[DomainError], command: Command, *args: Any, **kwargs: Any
) -> DomainError:
    """Have it refused with exactly this error, and nothing changed; return the error."""
    with nothing_changes(), pytest.raises(DomainError) as refusal:
        market.do(command, *args, **kwargs)
    assert type(refusal.value) is error
    return refusal.value


def test_a_draft_is_the_advertisers_alone(market: Market) -> None:
    deal_id = market.draft()

    deal = market.deal(deal_id)
    assert (deal.status, deal.version, deal.submitted_at) == ("DRAFT", 0, None)
    assert (deal.advertiser_id, deal.owner_id) == (ANNA, OLEG)
    assert (deal.price_nano, deal.commission_rate_bp) == (PRICE_NANO, 1_000)
    refused(market, DealNotFound, services.accept_offer, deal_id, OWNER)
    assert market.events(deal_id) == []


def test_an_offer_waits_48_hours_for_the_owner(market: Market) -> None:
    deal_id = market.offer()

    deal = market.deal(deal_id)
    assert deal.status == "OFFER_PENDING"
    assert deal.deadline_at == deal.status_since_at + timedelta(hours=48)
    assert market.history(deal_id) == ["SUBMIT"]
    assert market.events(deal_id) == ["OFFER_SUBMITTED"]


def test_an_accepted_offer_waits_for_its_address(market: Market) -> None:
    deal_id = market.accepted()

    deal = market.deal(deal_id)
    assert deal.status == "ACCEPTED"
    assert deal.deadline_at == deal.status_since_at + timedelta(hours=24)
    assert deal.due_at == deal.status_since_at
    assert market.events(deal_id) == ["OFFER_SUBMITTED", "OFFER_ACCEPTED"]


def test_a_move_is_counted_when_it_is_committed(
    market: Market, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    move = {"action": "REJECT", "from_status": "OFFER_PENDING", "to_status": "CANCELLED"}
    deal_id = market.offer()
    since = Since()

    with django_capture_on_commit_callbacks(execute=True):
        market.do(services.reject_offer, deal_id, OWNER)
        assert since("deal_transitions_total", **move) == 0

    assert since("deal_transitions_total", **move) == 1


def test_history_says_who_when_and_why(market: Market) -> None:
    deal_id = market.offer()
    market.do(services.reject_offer, deal_id, OWNER, reason="not now")

    event = DealEvent.objects.get(deal_id=deal_id, version=2)
    assert (event.action, event.actor, event.reason) == ("REJECT", f"user:{OLEG}", "not now")
    assert (event.from_status, event.to_status) == ("OFFER_PENDING", "CANCELLED")
    assert market.events(deal_id)[-1] == "OFFER_REJECTED"


@pytest.mark.parametrize(
    ("command", "actor", "error", "code"),
    [
        (services.submit_offer, OWNER, DealNotFound, Code.DEAL_NOT_FOUND),
        (services.submit_offer, OUTSIDER, DealNotFound, Code.DEAL_NOT_FOUND),
        (endings.cancel_deal, OUTSIDER, DealNotFound, Code.DEAL_NOT_FOUND),
        (services.accept_offer, ADVERTISER, NotAllowed, Code.AUTH_INSUFFICIENT_PERMISSIONS),
    ],
)
def test_wrong_person_in_a_draft(
    market: Market, command: Command, actor: Actor, error: type[DomainError], code: Code
) -> None:
    assert refused(market, error, command, market.draft(), actor).code is code


@pytest.mark.parametrize(
    ("command", "actor", "error"),
    [
        (services.accept_offer, ADVERTISER, NotAllowed),
        (services.reject_offer, ADVERTISER, NotAllowed),
        (endings.cancel_deal, OWNER, NotAllowed),
        (services.submit_offer, OWNER, NotAllowed),
        (services.accept_offer, OUTSIDER, DealNotFound),
        (services.reject_offer, OUTSIDER, DealNotFound),
        (endings.cancel_deal, OUTSIDER, DealNotFound),
        (services.fund_deal, ADVERTISER, NotAllowed),
        (endings.settle_deal, OWNER, NotSettled),
        (endings.cancel_rejected, OWNER, NotAllowed),
        (services.accept_offer, Actor.system("test"), NotAllowed),
        (services.accept_offer, Actor.operator(1), NotAllowed),
    ],
)
def test_wrong_person_with_an_offer(
    market: Market, command: Command, actor: Actor, error: type[DomainError]
) -> None:
    refused(market, error, command, market.offer(), actor)


@pytest.mark.parametrize(
    ("reach", "command", "actor", "requested"),
    [
        (Market.offer, services.approve_creative, ADVERTISER, "APPROVE"),
        (Market.offer, services.schedule_post, OWNER, "SCHEDULE"),
        (Market.accepted, services.reject_offer, OWNER, "REJECT"),
        (Market.accepted, services.submit_offer, ADVERTISER, "SUBMIT"),
        (Market.offer, services.fund_deal, Actor.system("test"), "FUND"),
    ],
)
def test_wrong_state(
    market: Market,
    reach: Callable[[Market], Any],
    command: Command,
    actor: Actor,
    requested: str,
) -> None:
    deal_id = reach(market)

    refusal = refused(market, IllegalTransition, command, deal_id, actor)

    assert refusal.code is Code.INVALID_STATE_TRANSITION
    assert refusal.facts == {
        "current_status": market.status(deal_id),
        "requested_transition": requested,
    }


@pytest.mark.parametrize(
    ("reach", "command", "actor"),
    [
        (Market.draft, services.submit_offer, ADVERTISER),
        (Market.draft, endings.cancel_deal, ADVERTISER),
        (Market.offer, services.accept_offer, OWNER),
        (Market.offer, services.reject_offer, OWNER),
        (Market.offer, endings.cancel_deal, ADVERTISER),
        (Market.accepted, endings.cancel_deal, ADVERTISER),
        (Market.accepted, endings.cancel_deal, OWNER),
    ],
)
def test_a_second_time_changes_nothing(
    market: Market, reach: Callable[[Market], Any], command: Command, actor: Actor
) -> None:
    deal_id = reach(market)
    market.do(command, deal_id, actor)

    with nothing_changes():
        market.do(command, deal_id, actor)


def test_what_is_over_stays_over(market: Market) -> None:
    deal_id = market.offer()
    market.do(endings.cancel_deal, deal_id, ADVERTISER)

    refused(market, IllegalTransition, services.accept_offer, deal_id, OWNER)


def test_after_deadline_and_grace_nobody_accepts_but_one_may_withdraw(market: Market) -> None:
    deal_id = market.offer()

    with later(timedelta(hours=48, minutes=6)):
        refusal = refused(market, DeadlinePassed, services.accept_offer, deal_id, OWNER)
        assert refusal.code is Code.DEAL_DEADLINE_EXPIRED
        market.do(endings.cancel_deal, deal_id, ADVERTISER)
    assert market.status(deal_id) == "CANCELLED"


def test_within_the_grace_an_acceptance_counts(market: Market) -> None:
    deal_id = market.offer()

    with later(timedelta(hours=48, minutes=4)):
        market.do(services.accept_offer, deal_id, OWNER)

    assert market.status(deal_id) == "ACCEPTED"


def test_an_offer_without_an_answer_expires(market: Market) -> None:
    deal_id = market.offer()

    with later(timedelta(hours=48, minutes=4)), nothing_changes():
        sweeps.end_overdue_deals()
    with later(timedelta(hours=48, minutes=6)):
        sweeps.end_overdue_deals()
        with nothing_changes():
            sweeps.end_overdue_deals()

    assert market.status(deal_id) == "EXPIRED"
    assert market.events(deal_id)[-1] == "DEAL_EXPIRED"


def test_deadlines_shrink_with_the_scale(market: Market, settings: Any) -> None:
    settings.DEADLINE_SCALE = 0.001

    deal = market.deal(market.offer())

    assert deal.deadline_at == deal.status_since_at + timedelta(hours=48) * 0.001


def test_the_price_is_at_least_one_ton(market: Market) -> None:
    with nothing_changes(), transaction.atomic(), pytest.raises(services.PriceTooLow):
        services.create_deal(
            channel_id=market.channel_id,
            format="STANDARD",
            price_nano=NANO_PER_TON - 1,
            brief=brief(),
            actor=ADVERTISER,
            at=timezone.now(),
        )


def test_an_unknown_channel_gets_no_deal(market: Market) -> None:
    market.channel_id = -1

    with nothing_changes(), pytest.raises(ChannelNotFound):
        market.draft()


def test_an_advertiser_has_at_most_ten_active_deals(market: Market) -> None:
    deals = [market.draft() for _ in range(5)]
    market.open_channel()
    deals += [market.draft() for _ in range(5)]
    market.open_channel()

    with nothing_changes(), pytest.raises(TooManyActiveDeals) as refusal:
        market.draft()
    assert (refusal.value.code, refusal.value.facts) == (Code.LIMIT_EXCEEDED, {"limit": 10})

    market.do(endings.cancel_deal, deals[0], ADVERTISER)
    market.draft()
    assert Deal.objects.count() == 11


def test_a_channel_gets_at_most_five_new_deals_a_day(market: Market) -> None:
    for _ in range(5):
        market.offer()
    sixth = market.draft(actor=Actor.user(IVAN))

    with nothing_changes(), pytest.raises(TooManyNewDeals) as refusal:
        market.do(services.submit_offer, sixth, Actor.user(IVAN))
    assert (refusal.value.code, refusal.value.facts) == (Code.LIMIT_EXCEEDED, {"limit": 5})

    with later(timedelta(days=1, seconds=1)):
        market.do(services.submit_offer, sixth, Actor.user(IVAN))
    assert market.deal(sixth).status == "OFFER_PENDING"


def test_drafts_that_are_never_sent_take_nothing_from_a_channel(market: Market) -> None:
    for _ in range(5):
        market.draft(actor=Actor.user(IVAN))

    assert market.deal(market.offer()).status == "OFFER_PENDING"
