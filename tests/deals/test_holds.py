"""What must be held is held, however long a text is and whenever the deadline falls."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.actors import Actor
from deals import services
from deals.delivery import records
from deals.delivery.content import Content, Difference, compare
from deals.delivery.draft import Draft
from deals.delivery.publisher import LEASE
from deals.models import Deal, Hold, PostAttempt, PostingCheck
from deals.moves import hold, lock
from deals.services import NotRehearsed
from tests.deals.market import OWNER, FundedMarket, LiveMarket, later


def test_a_long_edit_is_judged_and_held(live_market: LiveMarket) -> None:
    deal_id = live_market.published()
    [post] = live_market.posts()
    live_market.telegram.edit_post(live_market.channel_id, post["message_id"], text="x" * 4_000)

    with later(live_market.next_check_at(deal_id)):
        live_market.check_all()

    assert list(PostingCheck.objects.values_list("verdict", flat=True)) == ["EDITED"]
    assert live_market.disputed_for(deal_id) == "POST_EDITED"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ("Order at example.com today. " + "words " * 50, Difference.SAME),
        ("Order at example.org today. " + "words " * 50, Difference.CHANGED),
        ("Order at example.com today! " + "words " * 50, Difference.SLIGHT),
        ("Something else. " + "words " * 50, Difference.CHANGED),
        ("", Difference.CHANGED),
    ],
)
def test_an_address_in_a_text_is_never_a_slight_change(found: str, expected: Difference) -> None:
    approved = Content("Order at example.com today. " + "words " * 50)

    assert compare(approved, Content(found)) is expected


def test_the_longest_texts_are_compared_at_once() -> None:
    approved, found = Content("ab" * 2_048), Content("aab" * 1_365)

    assert compare(approved, found) is Difference.CHANGED


def test_what_was_posted_is_kept_though_the_deal_is_held(funded_market: FundedMarket) -> None:
    deal_id = funded_market.approved()
    funded_market.do(services.schedule_post, deal_id, OWNER)
    Deal.objects.filter(pk=deal_id).update(
        lease_owner=(lease := deal_id), leased_until=timezone.now() + LEASE
    )
    with transaction.atomic():
        attempt = records.start_attempt(deal_id=deal_id, lease=lease, part=0, at=timezone.now())
        hold(
            deal=lock(deal_id),
            reason=Hold.POST_REFUSED,
            note="",
            actor=Actor.system("test"),
            at=timezone.now(),
        )

    with transaction.atomic():
        records.record_posted(
            deal_id=deal_id, attempt_id=attempt.pk, message_ids=[77], at=timezone.now()
        )

    attempt.refresh_from_db()
    assert (attempt.state, attempt.message_ids) == (PostAttempt.State.POSTED, [77])
    assert funded_market.deal(deal_id).status == "SCHEDULED"


def test_an_ad_that_was_not_rehearsed_whole_is_refused(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()

    with pytest.raises(NotRehearsed):
        funded_market.do(services.submit_creative, deal_id, OWNER, draft=Draft("An ad"), parts=())

    assert funded_market.deal(deal_id).status == "FUNDED"
