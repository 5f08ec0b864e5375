"""What tells operators of deals that only they can move on."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from advertmarket.actors import Actor
from deals import moves, sweeps
from deals.disputes import services as disputes
from deals.models import Dispute, Hold
from ops.situation.work import tell_disputes
from tests.ops.incidents.seeing import names, seen

from .market import SYSTEM, FundedMarket, later

OPERATOR = Actor.operator(1)
WEEK = timedelta(days=7)
A_MOMENT = timedelta(seconds=5)


def hold(deal_id: UUID) -> None:
    with transaction.atomic():
        moves.hold(
            deal=moves.lock(deal_id),
            reason=Hold.POST_UNRESOLVED,
            note="",
            actor=SYSTEM,
            at=timezone.now(),
        )


def test_held_deals_are_one_incident_as_long_as_there_are_any(funded_market: FundedMarket) -> None:
    first, second = funded_market.funded(), funded_market.approved()
    assert seen("held_deals_are_looked_at") == []

    hold(first)
    hold(second)

    [cause] = seen("held_deals_are_looked_at")
    assert (cause.id, cause.kind.severity) == ("deals_held", "P3")
    assert cause.facts == {
        "count": 2,
        "deal": str(first),
        "status": "FUNDED",
        "reason": "POST_UNRESOLVED",
    }
    assert cause.since == funded_market.deal(first).held_at
    assert cause.page == "/admin/deals/deal/"

    funded_market.dispute(first, OPERATOR)
    [cause] = seen("held_deals_are_looked_at")
    assert (cause.id, cause.facts["count"], cause.facts["deal"]) == ("deals_held", 1, str(second))
    funded_market.dispute(second, OPERATOR)
    assert seen("held_deals_are_looked_at") == []


def test_a_dispute_that_was_escalated_stays_an_incident_until_it_is_decided(
    funded_market: FundedMarket,
) -> None:
    deal_id = funded_market.submitted()
    funded_market.dispute(deal_id)
    dispute = Dispute.objects.get()
    with later(WEEK - A_MOMENT):
        assert seen("disputes_are_decided") == []

    with later(WEEK + timedelta(days=2)):
        sweeps.escalate_disputes()
        [cause] = seen("disputes_are_decided")
        [line] = tell_disputes(timezone.now()).lines

    assert line.splitlines()[0].endswith(f"due {dispute.due_at:%Y-%m-%d %H:%M} UTC (OVERDUE)")
    assert (cause.id, cause.kind.severity) == (f"dispute_overdue:{dispute.pk}", "P3")
    assert cause.facts == {"deal": str(deal_id), "reason": "QUALITY", "days": 9}
    assert cause.since == dispute.opened_at + WEEK
    assert cause.page == f"/admin/deals/dispute/{dispute.pk}/change/"
    funded_market.do(
        disputes.decide_dispute,
        deal_id,
        OPERATOR,
        decision=disputes.Decision.REFUND,
        reason="The advertiser is right",
    )
    with later(2 * WEEK):
        assert seen("disputes_are_decided") == []


def test_of_many_overdue_disputes_the_oldest_five_are_incidents(
    funded_market: FundedMarket,
) -> None:
    for _ in range(6):
        funded_market.open_channel()
        funded_market.dispute(funded_market.submitted(), OPERATOR)
    oldest = Dispute.objects.order_by("opened_at").values_list("pk", flat=True)[:5]

    with later(WEEK + A_MOMENT):
        assert names(seen("disputes_are_decided")) == [f"dispute_overdue:{pk}" for pk in oldest]
