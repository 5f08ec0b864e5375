"""The back office shows a deal whole, and lets nobody edit it."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from deals.models import Deal

from .market import LiveMarket


@pytest.fixture
def operator(live_market: LiveMarket, client: Client) -> Client:
    user = get_user_model().objects.create_superuser("op", password="long-enough-password")
    client.force_login(user)
    return client


def test_a_deals_page_shows_history_money_ad_and_looks(
    live_market: LiveMarket, operator: Client
) -> None:
    deal_id = live_market.published()
    live_market.keep(deal_id)

    listed = operator.get("/admin/deals/deal/", {"q": str(deal_id)})
    page = operator.get(f"/admin/deals/deal/{deal_id}/change/").content.decode()

    assert str(deal_id) in listed.content.decode()
    for shown in (
        *("DELIVERY_VERIFIED", "APPROVE", "system:verifier", "PASSED", "Posted"),
        *("OWNER_PENDING: 45", "COMMISSION: 5", "RELEASED", "https://example.com/order"),
    ):
        assert shown in page, shown


def test_nobody_edits_a_deal(live_market: LiveMarket, operator: Client) -> None:
    deal_id = live_market.offer()

    for path in ("add/", f"{deal_id}/delete/"):
        assert operator.get(f"/admin/deals/deal/{path}").status_code == 403
    answer = operator.post(f"/admin/deals/deal/{deal_id}/change/", {"status": "FUNDED"})

    assert answer.status_code == 403
    assert Deal.objects.get(id=deal_id).status == "OFFER_PENDING"
