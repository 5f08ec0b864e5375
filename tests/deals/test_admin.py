"""The back office shows a deal whole, and lets nobody edit it."""

from __future__ import annotations

from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from accounts.services import mask_address
from advertmarket.money import NANO_PER_TON
from advertmarket.ton_address import friendly_address
from deals import endings
from deals.models import Deal, Dispute
from payments import selectors as payments

from .market import ADVERTISER, OWNER, LiveMarket


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


def test_a_deals_page_shows_all_its_transfers(live_market: LiveMarket, operator: Client) -> None:
    deal_id = live_market.funded()
    live_market.bank.deposit(deal_id, 7 * NANO_PER_TON)
    for actor in (OWNER, ADVERTISER):
        live_market.do(endings.cancel_deal, deal_id, actor)
    live_market.settle()
    annas, held_for = live_market.annas.raw_address, "an operator's word: far more than the price"
    held, refund = payments.transfers_of(deal_id)

    page = unescape(operator.get(f"/admin/deals/deal/{deal_id}/change/").content.decode())

    for cells in (
        ("OVERPAYMENT_REFUND", "7", "HELD", held_for, "", ""),
        ("REFUND", "50", "CONFIRMED", "", mask_address(annas), refund.tx_hash),
    ):
        assert "".join(f"<td>{cell}</td>" for cell in cells) in page
    assert (held.tx_hash, len(refund.tx_hash)) == ("", 64)
    assert friendly_address(annas, network="testnet") not in page


def test_a_disputes_page_shows_evidence_and_a_split(
    live_market: LiveMarket, operator: Client
) -> None:
    deal_id = live_market.published()
    live_market.dispute(deal_id, OWNER, "OTHER", "They never answer")
    dispute = Dispute.objects.get()

    page = operator.get(f"/admin/deals/dispute/{dispute.pk}/change/").content.decode()
    listed = operator.get("/admin/deals/dispute/", {"q": str(deal_id)}).content.decode()

    for shown in ("They never answer", "1000 базисных пунктов: владелец 4.5, комиссия 0.5"):
        assert shown in page, shown
    assert str(deal_id) in listed
    assert operator.post(f"/admin/deals/dispute/{dispute.pk}/change/", {}).status_code == 403


def test_nobody_edits_a_deal(live_market: LiveMarket, operator: Client) -> None:
    deal_id = live_market.offer()

    for path in ("add/", f"{deal_id}/delete/"):
        assert operator.get(f"/admin/deals/deal/{path}").status_code == 403
    answer = operator.post(f"/admin/deals/deal/{deal_id}/change/", {"status": "FUNDED"})

    assert answer.status_code == 403
    assert Deal.objects.get(id=deal_id).status == "OFFER_PENDING"
