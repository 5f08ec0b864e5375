"""From the approved ad to the payout owed, against a local Telegram."""

from __future__ import annotations

from deals.models import PostingCheck

from .market import LiveMarket, later


def test_an_ad_that_stays_earns_the_payout(live_market: LiveMarket) -> None:
    deal_id = live_market.published()
    deal = live_market.deal(deal_id)
    assert deal.retention_ends_at is not None
    with later(deal.retention_ends_at):
        looks = live_market.check_all()
    print(list(PostingCheck.objects.values("verdict", "markup_probe", "forward_probe", "detail")))
    assert looks in {6, 7}
    assert live_market.status(deal_id) == "DELIVERY_VERIFIED"
