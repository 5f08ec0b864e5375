"""The table of transitions: its document, and that nobody gets around it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from accounts import services as accounts
from advertmarket.actors import Actor
from advertmarket.errors import DomainError
from deals import diagram, endings, services
from deals.delivery.draft import Draft
from deals.disputes import services as disputes
from deals.lifecycle import ACTIVE, DEADLINE_S, OVER, TRANSITIONS, Action, Role, Status
from deals.models import DealEvent
from payments import selectors as payments
from tests.waiting import wait_until

from .market import OUTSIDER, OWNER, PRICE_NANO, SYSTEM, Command, LiveMarket, shown

_advertiser_ids = itertools.count(900_001)
AD = Draft(text="Fresh coffee")


def test_the_document_is_made_from_the_table() -> None:
    assert diagram.PATH.read_text() == diagram.document()


def test_every_status_can_be_reached_and_every_action_has_a_line() -> None:
    assert {line.target for line in TRANSITIONS} == set(Status) - {Status.DRAFT}
    assert {line.action for line in TRANSITIONS} == set(Action)


def test_an_action_leads_to_one_status_and_tells_one_event() -> None:
    for action in Action:
        lines = [line for line in TRANSITIONS if line.action == action]
        assert len({(line.target, line.event) for line in lines}) == 1


def test_only_a_deposit_in_time_revives_what_is_over() -> None:
    left = [(line.source, line.action) for line in TRANSITIONS if line.source in OVER]
    assert left == [(Status.EXPIRED, Action.FUND)]
    assert set(Status) == ACTIVE | OVER
    assert set(DEADLINE_S) <= ACTIVE


def test_what_may_have_been_earned_neither_expires_nor_is_cancelled() -> None:
    ended = {line.source for line in TRANSITIONS if line.target in {"EXPIRED", "CANCELLED"}}
    assert ended == {
        Status.DRAFT,
        Status.OFFER_PENDING,
        Status.ACCEPTED,
        Status.AWAITING_PAYMENT,
        Status.FUNDED,
        Status.CREATIVE_APPROVED,
        Status.SCHEDULED,
    }


def test_whatever_is_paid_can_be_disputed_by_an_operator() -> None:
    by_operator = {
        line.source
        for line in TRANSITIONS
        if (line.action, line.role) == (Action.DISPUTE, Role.OPERATOR)
    }
    assert by_operator == {
        Status.FUNDED,
        Status.CREATIVE_SUBMITTED,
        Status.CREATIVE_APPROVED,
        Status.SCHEDULED,
        Status.DELIVERY_VERIFYING,
    }


# --- Any sequence of commands, by anyone ----------------------------------------------------------

Step = Callable[[LiveMarket, UUID, Actor], None]


def _by(service: Command, **arguments: object) -> Step:
    def step(market: LiveMarket, deal_id: UUID, actor: Actor) -> None:
        market.do(service, deal_id, actor, **arguments)

    return step


def _pay(market: LiveMarket, deal_id: UUID, _actor: Actor) -> None:
    escrow = payments.escrow_view(deal_id)
    if escrow is not None and escrow.state == "AWAITING":
        market.give_refund_address(deal_id)
        market.pay(deal_id)


def _post(market: LiveMarket, _deal_id: UUID, _actor: Actor) -> None:
    market.post()


def _verify(market: LiveMarket, deal_id: UUID, _actor: Actor) -> None:
    ends_at = market.deal(deal_id).retention_ends_at
    if ends_at is not None:
        wait_until(lambda: timezone.now() >= ends_at, what="the end of the retention time")
    market.check_all()


def _pay_out(market: LiveMarket, deal_id: UUID, _actor: Actor) -> None:
    if payments.payout_view(deal_id) is not None:
        market.bank.settle()


COMMANDS: dict[Action, Step] = {
    Action.SUBMIT: _by(services.submit_offer),
    Action.ACCEPT: _by(services.accept_offer),
    Action.REJECT: _by(services.reject_offer),
    Action.CANCEL: _by(endings.cancel_deal),
    Action.REQUEST_PAYMENT: _by(services.request_payment, proof=None),
    Action.FUND: _by(services.fund_deal),
    Action.SUBMIT_CREATIVE: _by(services.submit_creative, draft=AD, parts=shown(AD)),
    Action.REVISE: _by(services.request_revision, note="shorter"),
    Action.APPROVE: _by(services.approve_creative),
    Action.SCHEDULE: _by(services.schedule_post),
    Action.ASK_TO_CANCEL: _by(endings.cancel_deal),
    Action.DISPUTE: _by(disputes.open_dispute, reason=disputes.Reason.QUALITY, statement="No"),
    Action.DECIDE: _by(
        disputes.decide_dispute, decision=disputes.Decision.SPLIT, owner_bp=5_000, reason="Half"
    ),
    Action.ESCALATE: _by(disputes.escalate_dispute),
    Action.COMPLETE: _by(endings.settle_deal),
    Action.EXPIRE: _by(endings.end_overdue),
}
ALSO = {
    Action.CANCEL: {Action.CANCEL, Action.AGREE_TO_CANCEL},
    Action.ASK_TO_CANCEL: {Action.CANCEL, Action.AGREE_TO_CANCEL},
    Action.COMPLETE: {Action.COMPLETE, Action.REFUND, Action.SPLIT},
    Action.EXPIRE: {Action.EXPIRE, Action.DISPUTE},
}
"""What a command may do beside what it is called."""

WORLD: tuple[Step, ...] = (_pay, _post, _verify, _pay_out)
"""What happens to a deal without anybody asking for it."""

NEXT: dict[str, tuple[str, Action | Step]] = {
    "DRAFT": ("advertiser", Action.SUBMIT),
    "OFFER_PENDING": ("owner", Action.ACCEPT),
    "ACCEPTED": ("system", Action.REQUEST_PAYMENT),
    "AWAITING_PAYMENT": ("system", Action.FUND),
    "FUNDED": ("owner", Action.SUBMIT_CREATIVE),
    "CREATIVE_SUBMITTED": ("advertiser", Action.APPROVE),
    "CREATIVE_APPROVED": ("owner", Action.SCHEDULE),
    "SCHEDULED": ("system", _post),
    "DELIVERY_VERIFYING": ("system", _verify),
    "DELIVERY_VERIFIED": ("system", Action.COMPLETE),
    "DISPUTED": ("operator", Action.DECIDE),
}
ROLES = {
    "advertiser": {Role.ADVERTISER},
    "owner": {Role.MODERATOR, Role.PUBLISHER},
    "outsider": set(),
    "system": {Role.SYSTEM},
    "operator": {Role.OPERATOR},
}
WHO = st.sampled_from(sorted(ROLES))
FORWARD = st.just(("", None))
ANYTHING = st.tuples(WHO, st.sampled_from([*COMMANDS, *WORLD]))


@pytest.fixture
def short_market(live_market: LiveMarket, settings: Settings) -> LiveMarket:
    """A market where ads are kept for the blink of an eye, and Oleg can be paid."""
    settings.RETENTION_S = 0.05
    live_market.set_payout_address()
    return live_market


@pytest.mark.thorough
@hypothesis_settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.one_of(FORWARD, FORWARD, ANYTHING), min_size=5, max_size=30))
@example([("", None)] * 14)
@pytest.mark.timeout(300)
def test_any_sequence_of_commands_keeps_to_the_table(
    short_market: LiveMarket, steps: list[tuple[str, Action | Step | None]]
) -> None:
    deal_id, people = begin(short_market)
    for who, wanted in steps:
        if wanted is None:
            go_on(short_market, deal_id, people)
        else:
            take_step(short_market, deal_id, people[who], ROLES[who], wanted)
    assert_history_is_complete(short_market, deal_id)


def test_a_whole_life(short_market: LiveMarket) -> None:
    deal_id, people = begin(short_market)

    for _ in range(10):
        go_on(short_market, deal_id, people)

    assert short_market.status(deal_id) == "COMPLETED_RELEASED"
    assert_history_is_complete(short_market, deal_id)
    assert short_market.history(deal_id) == [
        *("SUBMIT", "ACCEPT", "REQUEST_PAYMENT", "FUND", "SUBMIT_CREATIVE", "APPROVE", "SCHEDULE"),
        *("PUBLISH", "START_VERIFYING", "VERIFY", "COMPLETE"),
    ]
    assert short_market.bank.owner_has() == PRICE_NANO * 9 // 10


def go_on(market: LiveMarket, deal_id: UUID, people: dict[str, Actor]) -> None:
    """What should happen next happens, if the deal is not over."""
    status = market.status(deal_id)
    if status == "AWAITING_PAYMENT":
        _pay(market, deal_id, SYSTEM)
    if status == "DELIVERY_VERIFIED":
        _pay_out(market, deal_id, SYSTEM)
    if status in NEXT:
        who, wanted = NEXT[status]
        take_step(market, deal_id, people[who], ROLES[who], wanted)
    if status == "DISPUTED":
        _pay_out(market, deal_id, SYSTEM)
        take_step(market, deal_id, SYSTEM, ROLES["system"], Action.COMPLETE)


def begin(market: LiveMarket) -> tuple[UUID, dict[str, Actor]]:
    """A deal of a new advertiser with a new channel, so that no limit is met."""
    advertiser = Actor.user(next(_advertiser_ids))
    with transaction.atomic():
        accounts.get_or_create_user(
            user_id=int(advertiser.id),
            first_name="Ad",
            username="",
            language_code="en",
            at=timezone.now(),
        )
    market.open_channel()
    people = {
        "advertiser": advertiser,
        "owner": OWNER,
        "outsider": OUTSIDER,
        "system": SYSTEM,
        "operator": Actor.operator(1),
    }
    return market.draft(actor=advertiser), people


def take_step(
    market: LiveMarket, deal_id: UUID, actor: Actor, roles: set[Role], wanted: Action | Step
) -> None:
    """Take it; whatever moves is a line of the table for this actor, and a refusal is complete."""
    before = market.deal(deal_id)
    command = COMMANDS[wanted] if isinstance(wanted, Action) else wanted
    try:
        command(market, deal_id, actor)
    except DomainError:
        assert market.deal(deal_id).version == before.version
        assert market.status(deal_id) == before.status
        return
    moved = market.deal(deal_id)
    if isinstance(wanted, Action) and moved.status != before.status:
        taken = DealEvent.objects.filter(deal_id=deal_id).latest("version").action
        assert taken in ALSO.get(wanted, {wanted})
        lines = {(t.source, t.action, t.target, t.role) for t in TRANSITIONS}
        path = (before.status, taken, moved.status)
        assert any((*path, role) in lines for role in roles), (path, roles)


def assert_history_is_complete(market: LiveMarket, deal_id: UUID) -> None:
    """Versions without a gap, each line of the table, ending where the deal is, and all told."""
    deal = market.deal(deal_id)
    history = list(DealEvent.objects.filter(deal_id=deal_id).order_by("version"))
    assert [event.version for event in history] == list(range(1, deal.version + 1))
    status = "DRAFT"
    told = []
    for event in history:
        (line, *_) = [t for t in TRANSITIONS if (t.source, t.action) == (status, event.action)]
        assert (event.from_status, event.to_status) == (line.source, line.target)
        status = line.target
        told.append(line.event.TYPE)
    assert status == deal.status
    assert market.events(deal_id) == told
