"""Everything runs beside itself. Where a lock decides, a control shows that the race is real."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError

from channels.ownership import OwnershipProof, prove
from deals import endings, limits, moves, services, sweeps
from deals.delivery.draft import Draft
from deals.lifecycle import IllegalTransition, Status
from deals.limits import TooManyActiveDeals
from deals.models import Deal, PostAttempt
from payments import services as payment_services
from payments.models import Escrow
from tests.database import Clone
from tests.payments.lines import before, line_of
from tests.payments.threads import Meanwhile, together

from .market import (
    ADVERTISER,
    OWNER,
    PRICE_NANO,
    SYSTEM,
    Command,
    FundedMarket,
    LiveMarket,
    Market,
    later,
)

CHECKED = line_of(moves.move, "_write(deal, line, changes, at)")
"""State, role and guard were found to be good; nothing is written yet."""


@pytest.fixture
def committed_market(committed_db: Clone) -> Market:
    """Deals that nobody pays, committed."""
    return Market()


def by(market: Market, command: Command, deal_id: UUID, actor: object) -> Callable[[], None]:
    return functools.partial(market.do, command, deal_id, actor)  # type: ignore[arg-type]


def test_two_acceptances_at_once_are_one(committed_market: Market) -> None:
    deal_id = committed_market.offer()

    accept = by(committed_market, services.accept_offer, deal_id, OWNER)
    for acceptance in together(*[accept] * 4):
        acceptance.result()

    assert committed_market.history(deal_id) == ["SUBMIT", "ACCEPT"]
    assert committed_market.events(deal_id) == ["OFFER_SUBMITTED", "OFFER_ACCEPTED"]


def test_a_withdrawal_during_an_acceptance_comes_after_it(committed_market: Market) -> None:
    deal_id = committed_market.offer()
    cancel = Meanwhile(by(committed_market, endings.cancel_deal, deal_id, ADVERTISER))

    with before(CHECKED, cancel):
        committed_market.do(services.accept_offer, deal_id, OWNER)
    cancel.result()

    assert committed_market.history(deal_id) == ["SUBMIT", "ACCEPT", "CANCEL"]
    assert committed_market.status(deal_id) == "CANCELLED"


def test_an_acceptance_during_a_withdrawal_is_refused(committed_market: Market) -> None:
    deal_id = committed_market.offer()
    accept = Meanwhile(by(committed_market, services.accept_offer, deal_id, OWNER))

    with before(CHECKED, accept):
        committed_market.do(endings.cancel_deal, deal_id, ADVERTISER)
    with pytest.raises(IllegalTransition):
        accept.result()

    assert committed_market.history(deal_id) == ["SUBMIT", "CANCEL"]
    assert committed_market.events(deal_id) == ["OFFER_SUBMITTED", "DEAL_CANCELLED"]


def test_without_the_lock_both_would_pass_their_checks(
    committed_market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal_id = committed_market.offer()
    monkeypatch.setattr(moves, "lock", lambda deal_id: Deal.objects.get(id=deal_id))
    accept = Meanwhile(by(committed_market, services.accept_offer, deal_id, OWNER))

    monkeypatch.setattr(services, "lock", moves.lock)
    monkeypatch.setattr(endings, "lock", moves.lock)
    with before(CHECKED, accept), pytest.raises(IntegrityError, match="deal_event_version_once"):
        committed_market.do(endings.cancel_deal, deal_id, ADVERTISER)
    accept.result()

    assert committed_market.history(deal_id) == ["SUBMIT", "ACCEPT"]


def test_the_tenth_deal_is_made_once(committed_market: Market) -> None:
    for _ in range(2):
        for _ in range(4):
            committed_market.draft()
        committed_market.open_channel()
    committed_market.draft()

    made = together(*[committed_market.draft] * 3)

    refused = [one.exception() for one in made if one.exception() is not None]
    assert [type(error) for error in refused] == [TooManyActiveDeals] * 2
    assert Deal.objects.count() == 10


def test_without_the_count_held_there_would_be_eleven(
    committed_market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        for _ in range(4):
            committed_market.draft()
        committed_market.open_channel()
    committed_market.draft()
    monkeypatch.setattr(limits, "hold_name", lambda _name: None)
    rival = Meanwhile(committed_market.draft)

    with before(line_of(services.create_deal, "deal = Deal.objects.create("), rival):
        committed_market.draft()
    rival.result()

    assert Deal.objects.count() == 11


def test_two_sweepers_give_one_address(funded_market: FundedMarket) -> None:
    deal_id = funded_market.accepted()

    for sweep in together(*[sweeps.request_payments] * 3):
        sweep.result()

    assert funded_market.history(deal_id) == ["SUBMIT", "ACCEPT", "REQUEST_PAYMENT"]
    assert Escrow.objects.filter(reference=deal_id).count() == 1


@pytest.mark.parametrize("leased", [True, False])
def test_only_with_leases_one_sweeper_asks_telegram(
    live_market: LiveMarket, monkeypatch: pytest.MonkeyPatch, leased: bool
) -> None:
    deal_id = live_market.accepted()
    asked = []

    def ask(*arguments: Any, **named: Any) -> OwnershipProof:
        asked.append(arguments)
        return prove(*arguments, **named)

    monkeypatch.setattr(sweeps, "prove", ask)
    if not leased:
        monkeypatch.setattr(sweeps, "lease_due", lambda **_: _first(Status.ACCEPTED))
    rival = Meanwhile(sweeps.request_payments)

    with later(services.PROOF_MAX_AGE * 2):
        with before(line_of(sweeps._prove, "return prove("), rival):
            sweeps.request_payments()
        rival.result()

    assert len(asked) == (1 if leased else 2)
    assert live_market.history(deal_id) == ["SUBMIT", "ACCEPT", "REQUEST_PAYMENT"]


def _first(status: Status) -> Deal | None:
    return Deal.objects.filter(status=status).first()


def late_with_a_deposit(market: FundedMarket) -> UUID:
    """A deal whose deadline has passed, and whose deposit was made in time but is not applied."""
    deal_id = market.awaiting_payment()
    market.bank.pay(deal_id, PRICE_NANO)
    return deal_id


def test_expiry_against_a_confirmed_deposit_leaves_a_paid_deal(
    moving_market: FundedMarket,
) -> None:
    deal_id = late_with_a_deposit(moving_market)

    def fund() -> None:
        moving_market.bank.apply_deposits()
        sweeps.fund_deals()

    with moving_market.bank.pass_time(86_400 + 301):
        moving_market.bank.read()
        fund_meanwhile = Meanwhile(fund)
        closing = line_of(endings.end_overdue, "payment_services.close_escrow(")
        with before(closing, fund_meanwhile):
            sweeps.end_overdue_deals()
        fund_meanwhile.result()
        sweeps.end_overdue_deals()

    assert moving_market.history(deal_id) == ["SUBMIT", "ACCEPT", "REQUEST_PAYMENT", "FUND"]
    assert Escrow.objects.get(reference=deal_id).state == "FUNDED"


def test_without_asking_payments_a_paid_deal_would_expire(
    moving_market: FundedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal_id = late_with_a_deposit(moving_market)
    monkeypatch.setattr(payment_services, "close_escrow", lambda **_: None)

    with moving_market.bank.pass_time(86_400 + 301):
        moving_market.bank.read()
        sweeps.end_overdue_deals()
        moving_market.bank.apply_deposits()

    assert moving_market.status(deal_id) == "EXPIRED"
    assert Escrow.objects.get(reference=deal_id).state == "FUNDED"


def test_many_sweepers_fund_a_deal_once(funded_market: FundedMarket) -> None:
    deal_id = funded_market.awaiting_payment()
    funded_market.pay(deal_id)

    fund = by(funded_market, services.fund_deal, deal_id, SYSTEM)
    for one in together(fund, fund, sweeps.fund_deals, sweeps.fund_deals):
        one.result()

    assert funded_market.history(deal_id).count("FUND") == 1


def test_many_publishers_post_each_ad_once(live_market: LiveMarket) -> None:
    deals = []
    for number in range(3):
        if number:
            live_market.channel_id = live_market.open_channel()
        deals.append((live_market.scheduled(Draft(f"Ad {number}")), live_market.channel_id))

    for one in together(*[live_market.post] * 4):
        one.result()

    for deal_id, channel_id in deals:
        assert len(live_market.telegram.messages(channel_id)) == 1
        assert PostAttempt.objects.filter(deal_id=deal_id).count() == 1
        assert live_market.history(deal_id).count("PUBLISH") == 1


def test_many_verifiers_release_once(live_market: LiveMarket) -> None:
    deal_id = live_market.published()
    ends_at = live_market.deal(deal_id).retention_ends_at
    while (at := live_market.next_check_at(deal_id)) != ends_at:
        with later(at):
            live_market.check_all()

    with later(at):
        for one in together(*[live_market.check_all] * 3):
            one.result()

    assert live_market.status(deal_id) == "DELIVERY_VERIFIED"
    assert live_market.history(deal_id).count("VERIFY") == 1
    assert [key for key in live_market.books() if key.startswith("release:")] == [
        f"release:{deal_id}"
    ]
