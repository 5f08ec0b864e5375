"""Drafts of the ad: submitted, revised, approved, scheduled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.telegram.content import Button
from deals import moves, selectors, services
from deals.delivery.draft import CreativeInvalid, Draft
from deals.lifecycle import IllegalTransition
from deals.models import Creative, Hold
from deals.moves import OnHold
from deals.permissions import DealNotFound, NotAllowed

from .market import (
    ADVERTISER,
    OUTSIDER,
    OWNER,
    SYSTEM,
    FundedMarket,
    Market,
    nothing_changes,
    shown,
)

AD = Draft("Fresh coffee at https://example.com", buttons=(Button("Go", url="https://a.example"),))
OTHER = Draft("Hot tea at https://example.com")


def submit(market: Market, deal_id: object, draft: Draft = AD, actor: object = OWNER) -> None:
    market.do(
        services.submit_creative,
        deal_id,  # type: ignore[arg-type]
        actor,  # type: ignore[arg-type]
        draft=draft,
        parts=shown(draft),
    )


def test_a_draft_awaits_the_advertiser(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()

    submit(funded_market, deal_id)

    creative = selectors.current_creative(deal_id, actor=ADVERTISER)
    assert funded_market.status(deal_id) == "CREATIVE_SUBMITTED"
    assert (creative.version, creative.text, creative.buttons) == (
        1,
        AD.text,
        [["Go", "https://a.example"]],
    )
    assert Draft.of(creative) == AD
    assert len(creative.content_hash) == 64
    assert funded_market.events(deal_id)[-1] == "CREATIVE_SUBMITTED"


def test_the_same_draft_again_changes_nothing_another_is_refused(
    funded_market: FundedMarket,
) -> None:
    deal_id = funded_market.submitted(AD)

    with nothing_changes():
        submit(funded_market, deal_id, AD)
        with pytest.raises(IllegalTransition):
            submit(funded_market, deal_id, OTHER)


def test_a_revision_leads_back_and_old_versions_stay(funded_market: FundedMarket) -> None:
    deal_id = funded_market.submitted(AD)
    funded_market.do(services.request_revision, deal_id, ADVERTISER, note="tea, please")
    with nothing_changes():
        funded_market.do(services.request_revision, deal_id, ADVERTISER, note="tea, please")
    assert funded_market.status(deal_id) == "FUNDED"

    submit(funded_market, deal_id, OTHER)
    funded_market.do(services.approve_creative, deal_id, ADVERTISER)
    with nothing_changes():
        funded_market.do(services.approve_creative, deal_id, ADVERTISER)

    rows = Creative.objects.filter(deal_id=deal_id).order_by("version")
    assert [(row.text, row.revision_note, row.approved_at is not None) for row in rows] == [
        (AD.text, "tea, please", False),
        (OTHER.text, "", True),
    ]
    assert funded_market.status(deal_id) == "CREATIVE_APPROVED"


def test_a_revision_of_nothing_is_refused(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()

    with nothing_changes(), pytest.raises(IllegalTransition):
        funded_market.do(services.request_revision, deal_id, ADVERTISER, note="now")


def test_a_draft_against_the_brief_is_refused(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded(links=["https://example.com/shop"], forbidden_words=["coffee"])

    with nothing_changes(), pytest.raises(CreativeInvalid, match=r"example\.com/shop"):
        submit(funded_market, deal_id, OTHER)
    with nothing_changes(), pytest.raises(CreativeInvalid, match="coffee"):
        submit(funded_market, deal_id, Draft("Coffee: https://example.com/shop"))
    assert funded_market.status(deal_id) == "FUNDED"


def test_each_side_does_its_own_part(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()
    with nothing_changes():
        for actor, error in ((ADVERTISER, NotAllowed), (OUTSIDER, DealNotFound)):
            with pytest.raises(error):
                submit(funded_market, deal_id, actor=actor)
    submit(funded_market, deal_id)
    with nothing_changes():
        for actor, error in ((OWNER, NotAllowed), (OUTSIDER, DealNotFound)):
            with pytest.raises(error):
                funded_market.do(services.approve_creative, deal_id, actor)
            with pytest.raises(error):
                funded_market.do(services.request_revision, deal_id, actor, note="x")
    funded_market.do(services.approve_creative, deal_id, ADVERTISER)
    with nothing_changes():
        for actor, error in ((ADVERTISER, NotAllowed), (OUTSIDER, DealNotFound)):
            with pytest.raises(error):
                funded_market.do(services.schedule_post, deal_id, actor)


def test_publishing_is_scheduling_for_now(funded_market: FundedMarket) -> None:
    deal_id = funded_market.approved(AD)

    funded_market.do(services.schedule_post, deal_id, OWNER)
    with nothing_changes():
        funded_market.do(services.schedule_post, deal_id, OWNER)

    deal = funded_market.deal(deal_id)
    assert deal.status == "SCHEDULED"
    assert deal.publish_at == deal.due_at == deal.status_since_at
    assert deal.deadline_at == deal.status_since_at + timedelta(hours=24)


def test_a_scheduled_time_stands(funded_market: FundedMarket) -> None:
    deal_id = funded_market.approved(AD)
    when = timezone.now() + timedelta(days=3)

    funded_market.do(services.schedule_post, deal_id, OWNER, publish_at=when)

    assert funded_market.deal(deal_id).publish_at == when
    with nothing_changes():
        funded_market.do(services.schedule_post, deal_id, OWNER, publish_at=when)
        with pytest.raises(IllegalTransition):
            funded_market.do(services.schedule_post, deal_id, OWNER)
        with pytest.raises(IllegalTransition):
            funded_market.do(
                services.schedule_post, deal_id, OWNER, publish_at=when + timedelta(hours=1)
            )


@pytest.mark.parametrize("ahead", [timedelta(seconds=-1), timedelta(days=30, seconds=1)])
def test_an_impossible_time_is_refused(funded_market: FundedMarket, ahead: timedelta) -> None:
    deal_id = funded_market.approved(AD)

    with nothing_changes(), pytest.raises(services.TimeNotPossible):
        funded_market.do(services.schedule_post, deal_id, OWNER, publish_at=timezone.now() + ahead)


def test_a_held_deal_is_moved_by_nobody(funded_market: FundedMarket) -> None:
    deal_id = funded_market.submitted(AD)
    with transaction.atomic():
        moves.hold(
            deal=moves.lock(deal_id),
            reason=Hold.POST_REFUSED,
            note="",
            actor=SYSTEM,
            at=timezone.now(),
        )

    with nothing_changes(), pytest.raises(OnHold):
        funded_market.do(services.approve_creative, deal_id, ADVERTISER)
    assert selectors.get_deal(deal_id, actor=ADVERTISER).actions == ()
