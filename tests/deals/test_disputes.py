"""Disputes: who may open one, what is shown, and what an operator's decision does to the money."""

from __future__ import annotations

import functools
import hashlib
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from advertmarket.actors import Actor
from advertmarket.errors import Code, DomainError
from deals import moves, sweeps
from deals.disputes import selectors, services
from deals.disputes.evidence import EvidenceInvalid
from deals.disputes.selectors import NoDispute, propose_split
from deals.disputes.services import (
    AlreadyDecided,
    Decision,
    DecisionInvalid,
    DisputeExists,
    Kind,
    Reason,
    TooMuchEvidence,
)
from deals.disputes.split import Shares, earned_bp, shares
from deals.lifecycle import IllegalTransition
from deals.limits import TooManyDisputes
from deals.models import Deal, Dispute, DisputeEvidence, Hold
from deals.permissions import DealNotFound, NotAllowed
from payments import selectors as payments
from payments.models import Escrow, Settlement
from tests.payments.lines import before, line_of
from tests.payments.threads import Meanwhile, together

from .market import (
    ADVERTISER,
    OUTSIDER,
    OWNER,
    PRICE_NANO,
    SYSTEM,
    FundedMarket,
    LiveMarket,
    later,
    nothing_changes,
)

OPERATOR, COLLEAGUE = Actor.operator(1), Actor.operator(2)
OPEN: dict[str, Any] = {"reason": Reason.QUALITY, "statement": "Not what I asked for"}


def decide(
    market: FundedMarket,
    deal_id: UUID,
    decision: Decision = Decision.REFUND,
    *,
    owner_bp: int | None = None,
    actor: Actor = OPERATOR,
    reason: str = "The advertiser is right",
) -> None:
    market.do(
        services.decide_dispute,
        deal_id,
        actor,
        decision=decision,
        owner_bp=owner_bp,
        reason=reason,
    )


def show(
    market: FundedMarket, deal_id: UUID, actor: Actor, content: str, kind: Kind = Kind.TEXT
) -> None:
    market.do(services.add_evidence, deal_id, actor, kind=kind, content=content)


def owed(deal_id: UUID) -> list[tuple[str, int]]:
    rows = Settlement.objects.filter(reference=deal_id).order_by("kind")
    return list(rows.values_list("kind", "amount_nano"))


@pytest.fixture
def disputed(funded_market: FundedMarket) -> UUID:
    """Anna disputes the ad that Oleg submitted."""
    deal_id = funded_market.submitted()
    funded_market.do(services.open_dispute, deal_id, ADVERTISER, **OPEN)
    return deal_id


# --- Opening --------------------------------------------------------------------------------------


@pytest.mark.parametrize("actor", [ADVERTISER, OWNER])
def test_either_side_disputes_an_ad_that_awaits_approval(
    funded_market: FundedMarket, actor: Actor
) -> None:
    deal_id = funded_market.submitted()

    funded_market.do(services.open_dispute, deal_id, actor, **OPEN)
    with nothing_changes():
        funded_market.do(services.open_dispute, deal_id, actor, **OPEN)

    deal, dispute = funded_market.deal(deal_id), Dispute.objects.get()
    assert (deal.status, deal.deadline_at) == ("DISPUTED", None)
    assert (dispute.state, dispute.reason, dispute.opened_by) == ("OPEN", "QUALITY", str(actor))
    assert dispute.due_at == dispute.opened_at + timedelta(days=7)
    assert funded_market.events(deal_id)[-1] == "DISPUTE_OPENED"
    evidence = DisputeEvidence.objects.get()
    assert (evidence.kind, evidence.content) == ("TEXT", OPEN["statement"])
    assert owed(deal_id) == []


def test_one_dispute_stands(disputed: UUID, funded_market: FundedMarket) -> None:
    with nothing_changes(), pytest.raises(DisputeExists) as refusal:
        funded_market.do(services.open_dispute, disputed, OWNER, **OPEN)
    assert refusal.value.code is Code.DISPUTE_ALREADY_EXISTS


def test_both_sides_at_once_make_one_dispute(funded_market: FundedMarket) -> None:
    deal_id = funded_market.submitted()
    by = functools.partial(funded_market.do, services.open_dispute, deal_id)

    opened = together(*[functools.partial(by, actor, **OPEN) for actor in (ADVERTISER, OWNER)])

    errors = [type(one.exception()) for one in opened if one.exception()]
    assert errors == [DisputeExists]
    assert Dispute.objects.count() == 1


@pytest.mark.parametrize(
    ("reach", "actor", "error"),
    [
        (FundedMarket.submitted, OUTSIDER, DealNotFound),
        (FundedMarket.funded, ADVERTISER, NotAllowed),
        (FundedMarket.funded, OWNER, NotAllowed),
        (FundedMarket.approved, ADVERTISER, NotAllowed),
        (FundedMarket.awaiting_payment, ADVERTISER, IllegalTransition),
        (FundedMarket.awaiting_payment, OPERATOR, IllegalTransition),
    ],
)
def test_who_may_not_dispute_when(
    funded_market: FundedMarket, reach: Any, actor: Actor, error: type[DomainError]
) -> None:
    deal_id = reach(funded_market)

    with nothing_changes(), pytest.raises(error):
        funded_market.do(services.open_dispute, deal_id, actor, **OPEN)


@pytest.mark.parametrize(
    "reach", [FundedMarket.funded, FundedMarket.submitted, FundedMarket.approved]
)
def test_an_operator_disputes_whatever_is_paid(funded_market: FundedMarket, reach: Any) -> None:
    deal_id = reach(funded_market)

    funded_market.do(services.open_dispute, deal_id, OPERATOR, **OPEN)

    assert funded_market.disputed_for(deal_id) == "QUALITY"
    assert DisputeEvidence.objects.get().kind == "SYSTEM_CHECK"


def test_a_held_deal_is_led_out_by_an_operators_dispute(live_market: LiveMarket) -> None:
    deal_id = live_market.scheduled()
    live_market.telegram.fault("sendMessage", chat_id=live_market.channel_id, lost=True)
    live_market.post()
    with transaction.atomic():
        moves.hold(
            deal=moves.lock(deal_id),
            reason=Hold.POST_UNRESOLVED,
            note="",
            actor=SYSTEM,
            at=timezone.now(),
        )
    with nothing_changes(), pytest.raises(NotAllowed):
        live_market.do(services.open_dispute, deal_id, OWNER, **OPEN)

    live_market.do(services.open_dispute, deal_id, OPERATOR, **OPEN)

    deal = live_market.deal(deal_id)
    assert (deal.status, deal.held_at, deal.hold_reason) == ("DISPUTED", None, "")
    decide(live_market, deal_id)
    assert owed(deal_id) == [("REFUND", PRICE_NANO)]
    other = live_market.scheduled()  # the channel is free again
    live_market.post()
    assert live_market.status(other) == "DELIVERY_VERIFYING"


def test_a_dispute_ends_the_looks_at_a_post(live_market: LiveMarket) -> None:
    deal_id = live_market.published()
    live_market.dispute(deal_id, OWNER, "OTHER")

    with later(timedelta(hours=40)), nothing_changes():
        live_market.check_all()
        sweeps.end_overdue_deals()
    assert live_market.status(deal_id) == "DISPUTED"


def test_three_disputes_a_week_are_enough(funded_market: FundedMarket) -> None:
    deals = []
    for _ in range(4):
        funded_market.open_channel()
        deals.append(funded_market.submitted())
    for deal_id in deals[:3]:
        funded_market.dispute(deal_id)

    with nothing_changes(), pytest.raises(TooManyDisputes):
        funded_market.dispute(deals[3])
    with later(timedelta(days=7, seconds=1)):
        funded_market.open_channel()
        funded_market.dispute(funded_market.submitted())
    assert Dispute.objects.count() == 4


# --- Evidence -------------------------------------------------------------------------------------


def test_both_sides_show_what_they_have(disputed: UUID, funded_market: FundedMarket) -> None:
    show(funded_market, disputed, OWNER, "https://example.com/brief", Kind.LINK)
    with nothing_changes():
        show(funded_market, disputed, OWNER, "https://example.com/brief", Kind.LINK)
    show(funded_market, disputed, OPERATOR, "Both were asked", Kind.TIMELINE)

    shown = selectors.get_dispute(disputed, actor=ADVERTISER)
    assert [(one.kind, one.content, one.added_by) for one in shown.evidence] == [
        ("TEXT", OPEN["statement"], "advertiser"),
        ("LINK", "https://example.com/brief", "owner"),
        ("TIMELINE", "Both were asked", "operator"),
    ]
    assert (
        shown.evidence[1].content_hash == hashlib.sha256(b"https://example.com/brief").hexdigest()
    )
    assert (shown.opened_by, shown.decision) == ("advertiser", "")


@pytest.mark.parametrize(
    ("kind", "content", "error"),
    [
        (Kind.TEXT, " ", EvidenceInvalid),
        (Kind.TEXT, "x" * 4_001, EvidenceInvalid),
        (Kind.LINK, "javascript:alert(1)", EvidenceInvalid),
        (Kind.SCREENSHOT, "https://example.com/a.png", EvidenceInvalid),
        (Kind.TON_TX, "abc", EvidenceInvalid),
        (Kind.SYSTEM_CHECK, "PASSED", NotAllowed),
        (Kind.TIMELINE, "it was so", NotAllowed),
    ],
)
def test_what_is_no_evidence(
    disputed: UUID,
    funded_market: FundedMarket,
    kind: Kind,
    content: str,
    error: type[DomainError],
) -> None:
    with nothing_changes(), pytest.raises(error):
        show(funded_market, disputed, OWNER, content, kind)


@pytest.mark.parametrize(
    ("kind", "content"),
    [(Kind.SCREENSHOT, "AgACAgIAAxk_-1"), (Kind.TON_TX, "ab" * 32), (Kind.TON_TX, "A" * 43 + "=")],
)
def test_what_is_evidence(
    disputed: UUID, funded_market: FundedMarket, kind: Kind, content: str
) -> None:
    show(funded_market, disputed, OWNER, content, kind)

    assert DisputeEvidence.objects.filter(kind=kind, content=content).exists()


def test_evidence_has_an_end(
    disputed: UUID, funded_market: FundedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_EVIDENCE", 2)
    show(funded_market, disputed, ADVERTISER, "second")

    with nothing_changes(), pytest.raises(TooMuchEvidence):
        show(funded_market, disputed, ADVERTISER, "third")
    show(funded_market, disputed, OWNER, "mine")


def test_strangers_see_and_show_nothing(disputed: UUID, funded_market: FundedMarket) -> None:
    with pytest.raises(DealNotFound):
        selectors.get_dispute(disputed, actor=OUTSIDER)
    with nothing_changes(), pytest.raises(DealNotFound):
        show(funded_market, disputed, OUTSIDER, "hello")


def test_without_a_dispute_there_is_nothing_to_show(funded_market: FundedMarket) -> None:
    deal_id = funded_market.submitted()

    with pytest.raises(NoDispute):
        selectors.get_dispute(deal_id, actor=OWNER)
    with nothing_changes(), pytest.raises(NoDispute):
        show(funded_market, deal_id, OWNER, "hello")
    with nothing_changes(), pytest.raises(NoDispute):
        decide(funded_market, deal_id)


@pytest.mark.parametrize("change", [{"content": "other"}, None])
def test_the_database_keeps_evidence_as_it_was(
    disputed: UUID, change: dict[str, str] | None
) -> None:
    rows = DisputeEvidence.objects.all()

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        rows.update(**change) if change else rows.delete()
    assert DisputeEvidence.objects.get().content == OPEN["statement"]


# --- The decision ---------------------------------------------------------------------------------


def test_a_refund_gives_the_advertiser_all(disputed: UUID, funded_market: FundedMarket) -> None:
    decide(funded_market, disputed)
    with nothing_changes():
        decide(funded_market, disputed)
    assert funded_market.status(disputed) == "DISPUTED"
    assert owed(disputed) == [("REFUND", PRICE_NANO)]

    funded_market.settle()
    with nothing_changes():
        sweeps.settle_deals()

    assert funded_market.status(disputed) == "REFUNDED"
    assert funded_market.history(disputed)[-3:] == ["DISPUTE", "DECIDE", "REFUND"]
    assert funded_market.events(disputed)[-3:] == [
        "DISPUTE_OPENED",
        "DISPUTE_RESOLVED",
        "DEAL_REFUNDED",
    ]
    assert PRICE_NANO - 20_000_000 < funded_market.annas_nano() < PRICE_NANO
    assert funded_market.bank.owner_has() == 0


def test_a_release_pays_the_owner_as_if_the_ad_had_stayed(
    disputed: UUID, funded_market: FundedMarket
) -> None:
    funded_market.set_payout_address()

    decide(funded_market, disputed, Decision.RELEASE)
    funded_market.settle()

    assert funded_market.status(disputed) == "COMPLETED_RELEASED"
    assert funded_market.bank.owner_has() == PRICE_NANO * 9 // 10
    assert funded_market.annas_nano() == 0


def test_a_split_gives_each_a_part_and_takes_commission_on_the_owners(
    disputed: UUID, funded_market: FundedMarket
) -> None:
    funded_market.set_payout_address()

    decide(funded_market, disputed, Decision.SPLIT, owner_bp=2_500)
    assert owed(disputed) == [
        ("PAYOUT", PRICE_NANO // 4 * 9 // 10),
        ("REFUND", PRICE_NANO * 3 // 4),
    ]
    escrow = payments.escrow_view(disputed)
    assert escrow is not None
    assert (escrow.balances["COMMISSION"], escrow.balances["ESCROW"]) == (PRICE_NANO // 40, 0)
    funded_market.settle()

    assert funded_market.status(disputed) == "PARTIALLY_REFUNDED"
    assert funded_market.history(disputed)[-1] == "SPLIT"
    assert funded_market.bank.owner_has() == PRICE_NANO // 4 * 9 // 10
    back = PRICE_NANO * 3 // 4
    assert back - 20_000_000 < funded_market.annas_nano() < back


def test_while_one_share_waits_the_deal_does_too(
    disputed: UUID, funded_market: FundedMarket
) -> None:
    decide(funded_market, disputed, Decision.SPLIT, owner_bp=5_000)

    funded_market.settle()  # Oleg has no payout address
    assert funded_market.annas_nano() > 0
    assert funded_market.status(disputed) == "DISPUTED"
    funded_market.set_payout_address()
    funded_market.settle()

    assert funded_market.status(disputed) == "PARTIALLY_REFUNDED"


@pytest.mark.parametrize(
    ("decision", "owner_bp", "reason"),
    [
        (Decision.REFUND, None, " "),
        (Decision.REFUND, 5_000, "why"),
        (Decision.SPLIT, None, "why"),
        (Decision.SPLIT, 0, "why"),
        (Decision.SPLIT, 10_000, "why"),
    ],
)
def test_what_is_no_decision(
    disputed: UUID,
    funded_market: FundedMarket,
    decision: Decision,
    owner_bp: int | None,
    reason: str,
) -> None:
    with nothing_changes(), pytest.raises(DecisionInvalid):
        decide(funded_market, disputed, decision, owner_bp=owner_bp, reason=reason)


@pytest.mark.parametrize("actor", [ADVERTISER, OWNER, SYSTEM])
def test_nobody_but_an_operator_decides(
    disputed: UUID, funded_market: FundedMarket, actor: Actor
) -> None:
    with nothing_changes(), pytest.raises(NotAllowed):
        decide(funded_market, disputed, actor=actor)


def test_of_two_operators_at_once_one_decides(disputed: UUID, funded_market: FundedMarket) -> None:
    rival = Meanwhile(
        functools.partial(
            decide, funded_market, disputed, Decision.SPLIT, owner_bp=5_000, actor=COLLEAGUE
        )
    )

    with before(line_of(services.decide_dispute, "dispute.save()"), rival):
        decide(funded_market, disputed)
    with pytest.raises(AlreadyDecided) as refusal:
        rival.result()

    assert refusal.value.facts == {"decision": "REFUND"}
    assert (Dispute.objects.get().decided_by, owed(disputed)) == (
        "operator:1",
        [("REFUND", PRICE_NANO)],
    )


def test_without_the_lock_both_would_decide(
    disputed: UUID, funded_market: FundedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlocked(deal_id: UUID) -> Deal:
        return Deal.objects.get(id=deal_id)

    monkeypatch.setattr(services, "lock", unlocked)
    monkeypatch.setattr(moves, "lock", unlocked)
    monkeypatch.setattr(
        services, "_lock_open", lambda deal, _actor: Dispute.objects.get(deal=deal, state="OPEN")
    )
    rival = Meanwhile(
        functools.partial(decide, funded_market, disputed, Decision.RELEASE, actor=COLLEAGUE)
    )

    moving = line_of(services.decide_dispute, "move(deal_id=")
    with before(moving, rival), pytest.raises((DomainError, DatabaseError)):
        decide(funded_market, disputed)
    rival.result()

    assert Dispute.objects.get().decision == "RELEASE"
    assert Escrow.objects.get(reference=disputed).state == "RELEASED"


def test_after_the_decision_nothing_is_added(disputed: UUID, funded_market: FundedMarket) -> None:
    decide(funded_market, disputed)

    with nothing_changes(), pytest.raises(AlreadyDecided):
        show(funded_market, disputed, OWNER, "wait")
    with nothing_changes(), pytest.raises(AlreadyDecided):
        decide(funded_market, disputed, Decision.RELEASE)


def test_a_dispute_that_nobody_decides_is_escalated_again_and_again(
    disputed: UUID, funded_market: FundedMarket
) -> None:
    for weeks in (1, 2):
        with later(timedelta(days=7 * weeks, seconds=5)):
            sweeps.escalate_disputes()
            with nothing_changes():
                sweeps.escalate_disputes()
        assert funded_market.events(disputed)[-weeks:] == ["DISPUTE_ESCALATED"] * weeks
    decide(funded_market, disputed)

    with later(timedelta(days=30)), nothing_changes():
        sweeps.escalate_disputes()


# --- The proposal ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "owner_bp"),
    [
        (0, 1_000),
        (0.99, 1_000),
        (1, 2_500),
        (5.99, 2_500),
        (6, 5_000),
        (11.99, 5_000),
        (12, 7_500),
        (23.99, 7_500),
        (24, 10_000),
        (30, 10_000),
    ],
)
def test_what_an_ad_has_earned_by_the_time_it_was_up(hours: float, owner_bp: int) -> None:
    published_at = timezone.now()
    for scale in (1, 2):  # days of retention
        until = published_at + timedelta(hours=hours * scale)
        retention = timedelta(days=scale)
        assert earned_bp(published_at=published_at, until=until, retention=retention) == owner_bp


def test_rounding_goes_to_the_advertiser() -> None:
    assert shares(101, owner_bp=2_500, commission_rate_bp=1_000) == Shares(23, 2, 76)


def test_a_deleted_ad_earned_the_time_until_it_was_last_seen(live_market: LiveMarket) -> None:
    deal_id = live_market.published()
    for _ in range(2):
        with later(live_market.next_check_at(deal_id)):
            live_market.check_all()
    live_market.telegram.delete_post(live_market.channel_id, live_market.posts()[0]["message_id"])
    for _ in range(2):
        with later(live_market.next_check_at(deal_id)):
            live_market.check_all()

    assert live_market.disputed_for(deal_id) == "POST_DELETED"
    dispute = Dispute.objects.get()
    proposal = propose_split(dispute)
    assert proposal is not None
    deal = live_market.deal(deal_id)
    last = deal.posting_checks.filter(verdict="PASSED").latest("at").at
    assert deal.published_at is not None
    expected = earned_bp(published_at=deal.published_at, until=last, retention=timedelta(hours=24))
    assert proposal.owner_bp == expected
    assert proposal.shares.owner_nano == PRICE_NANO * expected // 10_000 * 9 // 10


def test_of_what_was_never_published_nothing_is_proposed(disputed: UUID) -> None:
    assert propose_split(Dispute.objects.get()) is None
