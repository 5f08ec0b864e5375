"""Deals over HTTP: shapes, codes, and that a stranger learns nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from advertmarket.ton_address import friendly_address
from channels import services as channel_services
from deals import services
from deals.delivery.draft import Draft
from deals.models import Brief, Deal, Hold
from deals.moves import hold, lock
from tests.accounts.wallets import ProvingWallet, prove
from tests.advertmarket.conftest import sign_in

from .market import (
    ADVERTISER,
    ANNA,
    IVAN,
    OLEG,
    OWNER,
    PRICE_NANO,
    REFUND_ADDRESS,
    SYSTEM,
    FundedMarket,
    LiveMarket,
    Market,
    nothing_changes,
)

NEW_DEAL = {
    "format": "STANDARD",
    "priceNano": str(PRICE_NANO),
    "brief": {
        "text": "Tell them",
        "tone": "CASUAL",
        "links": ["https://example.com/shop"],
        "forbiddenWords": ["casino"],
    },
}


def call(client: Client, method: str, path: str, body: object = None, **headers: str) -> Any:
    """Send JSON and return the answer."""
    if method == "get":
        return client.get(f"/api/v1{path}")
    send = getattr(client, method)
    return send(f"/api/v1{path}", body or {}, content_type="application/json", headers=headers)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


@pytest.fixture
def anna(market: Market) -> Client:
    return sign_in(ANNA)


@pytest.fixture
def oleg(market: Market) -> Client:
    return sign_in(OLEG)


@pytest.fixture
def ivan(market: Market) -> Client:
    return sign_in(IVAN)


def test_a_new_deal_is_shown_as_it_was_asked_for(market: Market, anna: Client) -> None:
    answer = call(anna, "post", "/deals", {"channelId": market.channel_id, **NEW_DEAL})

    assert answer.status_code == 201, answer.content
    body = answer.json()
    deal = Deal.objects.get()
    assert body.pop("createdAt").endswith("Z")
    assert body == {
        "id": str(deal.id),
        "status": "DRAFT",
        "version": 0,
        "advertiserId": ANNA,
        "ownerId": OLEG,
        "channelId": market.channel_id,
        "channelTitle": "Morning City",
        "format": "STANDARD",
        "priceNano": "50000000000",
        "commissionRateBp": 1000,
        "deadlineAt": None,
        "publishAt": None,
        "publishedAt": None,
        "retentionEndsAt": None,
        "holdReason": "",
        "cancelAskedBy": "",
        "actions": ["SUBMIT", "CANCEL"],
        "brief": {
            "text": "Tell them",
            "audience": "",
            "tone": "CASUAL",
            "links": ["https://example.com/shop"],
            "media": [],
            "forbiddenWords": ["casino"],
            "notes": "",
        },
    }


def test_the_same_key_makes_one_deal(market: Market, anna: Client) -> None:
    body = {"channelId": market.channel_id, **NEW_DEAL}

    answers = [call(anna, "post", "/deals", body, **{"Idempotency-Key": "k"}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert Deal.objects.count() == 1


@pytest.mark.parametrize(
    "spoiled",
    [
        {"priceNano": "999999999"},
        {"priceNano": 50_000_000_000},
        {"format": "STORY"},
        {"brief": {}},
        {"brief": {"text": "x" * 2001}},
        {"brief": {"text": "x", "tone": "ANGRY"}},
        {"brief": {"text": "x", "links": ["ftp://example.com"]}},
        {"brief": {"text": "x", "links": ["https://example.com"] * 6}},
        {"brief": {"text": "x", "forbiddenWords": ["w"] * 21}},
        {"brief": {"text": "x", "media": ["m"] * 11}},
        {"channelId": 5},
        {"channelId": None},
    ],
)
def test_a_malformed_offer_is_refused(
    market: Market, anna: Client, spoiled: dict[str, object]
) -> None:
    body = {"channelId": market.channel_id, **NEW_DEAL, **spoiled}

    with nothing_changes():
        assert code(call(anna, "post", "/deals", body)) == (400, "VALIDATION_FAILED")
    assert not Brief.objects.exists()


def test_an_unknown_channel(market: Market, anna: Client) -> None:
    with nothing_changes():
        answer = call(anna, "post", "/deals", {"channelId": -7, **NEW_DEAL})
    assert code(answer) == (404, "CHANNEL_NOT_FOUND")


def test_a_brief_may_change_until_the_offer_is_sent(
    market: Market, anna: Client, oleg: Client
) -> None:
    deal_id = market.draft()
    wanted = {**NEW_DEAL["brief"], "text": "Tell them more"}  # type: ignore[dict-item]

    changed = call(anna, "post", f"/deals/{deal_id}/brief", wanted)

    assert changed.status_code == 200, changed.content
    assert changed.json()["text"] == "Tell them more"
    assert code(call(oleg, "get", f"/deals/{deal_id}/brief")) == (404, "DEAL_NOT_FOUND")
    market.do(services.submit_offer, deal_id, ADVERTISER)
    for client, status in ((anna, 409), (oleg, 403)):
        with nothing_changes():
            answer = call(client, "post", f"/deals/{deal_id}/brief", NEW_DEAL["brief"])
        assert answer.status_code == status
        assert call(client, "get", f"/deals/{deal_id}/brief").json() == changed.json()


def test_a_removed_channel_gets_no_new_deals(market: Market, anna: Client) -> None:
    draft, offer = market.draft(), market.offer()
    with transaction.atomic():
        channel_services.remove_channel(
            channel_id=market.channel_id, actor=OWNER, at=timezone.now()
        )

    with nothing_changes():
        submitted = call(anna, "post", f"/deals/{draft}/submit")
        drafted = call(anna, "post", "/deals", {"channelId": market.channel_id, **NEW_DEAL})
    assert code(submitted) == code(drafted) == (404, "CHANNEL_NOT_FOUND")
    market.do(services.accept_offer, offer, OWNER)
    assert call(anna, "get", f"/deals/{offer}").json()["status"] == "ACCEPTED"


def test_an_offer_reaches_the_owner_who_rejects_it(
    market: Market, anna: Client, oleg: Client
) -> None:
    deal_id = market.draft()
    assert code(call(oleg, "get", f"/deals/{deal_id}")) == (404, "DEAL_NOT_FOUND")

    submitted = call(anna, "post", f"/deals/{deal_id}/submit").json()
    assert (submitted["status"], submitted["actions"]) == ("OFFER_PENDING", ["CANCEL"])
    shown = call(oleg, "get", f"/deals/{deal_id}").json()
    assert shown["actions"] == ["ACCEPT", "REJECT"]
    rejected = call(oleg, "post", f"/deals/{deal_id}/reject", {"reason": "not now"}).json()
    assert (rejected["status"], rejected["actions"]) == ("CANCELLED", [])

    (first, second) = call(anna, "get", f"/deals/{deal_id}/timeline").json()["items"]
    assert first.pop("at").endswith("Z")
    assert first == {
        "version": 1,
        "action": "SUBMIT",
        "fromStatus": "DRAFT",
        "toStatus": "OFFER_PENDING",
        "actor": "advertiser",
        "reason": "",
    }
    assert (second["actor"], second["reason"]) == ("owner", "not now")


def test_a_hold_is_shown_without_what_is_noted_for_operators(
    market: Market, anna: Client, oleg: Client
) -> None:
    deal_id = market.offer()
    with transaction.atomic():
        hold(
            deal=lock(deal_id),
            reason=Hold.POST_UNRESOLVED,
            note="they seem to be the same person",
            actor=SYSTEM,
            at=timezone.now(),
        )

    for client in (anna, oleg):
        last = call(client, "get", f"/deals/{deal_id}/timeline").json()["items"][-1]
        assert (last["action"], last["actor"], last["reason"]) == ("HOLD", "system", "")
        shown = call(client, "get", f"/deals/{deal_id}")
        assert shown.json()["holdReason"] == "POST_UNRESOLVED"
        assert "same person" not in shown.content.decode()
    assert market.events(deal_id)[-1] == "DEAL_HELD"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "", None),
        ("get", "/brief", None),
        ("post", "/brief", {"text": "x"}),
        ("get", "/dispute", None),
        ("post", "/dispute", {"reason": "QUALITY", "statement": "x"}),
        ("post", "/dispute/evidence", {"kind": "TEXT", "content": "x"}),
        ("get", "/timeline", None),
        ("get", "/deposit", None),
        ("get", "/escrow", None),
        ("get", "/creative", None),
        ("get", "/creative/history", None),
        ("post", "/submit", None),
        ("post", "/accept", None),
        ("post", "/reject", None),
        ("post", "/cancel", None),
        ("put", "/refund-address", {"address": REFUND_ADDRESS}),
        ("post", "/creative", {"text": "x"}),
        ("post", "/creative/approve", None),
        ("post", "/creative/revision", {"note": "x"}),
        ("post", "/publish", None),
        ("post", "/schedule", None),
    ],
)
def test_a_deal_one_has_no_part_in_is_404(
    market: Market, ivan: Client, method: str, path: str, body: object
) -> None:
    if path == "/schedule":
        body = {"publishAt": (timezone.now() + timedelta(days=1)).isoformat()}
    deal_id = market.offer()

    with nothing_changes():
        theirs = call(ivan, method, f"/deals/{deal_id}{path}", body)
        nobodys = call(ivan, method, f"/deals/{uuid4()}{path}", body)

    assert code(theirs) == (404, "DEAL_NOT_FOUND")
    assert code(nobodys) == (404, "DEAL_NOT_FOUND")


def test_nobody_signed_in_sees_nothing(market: Market, client: Client) -> None:
    deal_id = market.offer()

    assert code(call(client, "get", f"/deals/{deal_id}")) == (401, "AUTH_INVALID_TOKEN")
    assert code(call(client, "get", "/deals")) == (401, "AUTH_INVALID_TOKEN")


def test_the_wrong_side_is_403_and_the_wrong_state_409(
    market: Market, anna: Client, oleg: Client
) -> None:
    deal_id = market.offer()

    with nothing_changes():
        wrong_side = call(anna, "post", f"/deals/{deal_id}/accept")
        wrong_state = call(oleg, "post", f"/deals/{deal_id}/publish")

    assert code(wrong_side) == (403, "AUTH_INSUFFICIENT_PERMISSIONS")
    assert code(wrong_state) == (409, "INVALID_STATE_TRANSITION")
    body = wrong_state.json()
    assert (body["currentStatus"], body["requestedTransition"]) == ("OFFER_PENDING", "SCHEDULE")


def test_a_dispute_over_http(funded_market: FundedMarket) -> None:
    deal_id = funded_market.submitted()
    anna, oleg, path = sign_in(ANNA), sign_in(OLEG), f"/deals/{deal_id}/dispute"
    assert code(call(oleg, "get", path)) == (404, "NOT_FOUND")
    wanted = {"reason": "QUALITY", "statement": "Not what I asked for"}

    opened = call(anna, "post", path, wanted)

    assert opened.status_code == 201, opened.content
    assert code(call(oleg, "post", path, wanted)) == (409, "DISPUTE_ALREADY_EXISTS")
    shown = call(oleg, "post", f"{path}/evidence", {"kind": "LINK", "content": "https://a.example"})
    assert shown.status_code == 201, shown.content
    body = shown.json()
    assert (body["state"], body["reason"], body["openedBy"]) == ("OPEN", "QUALITY", "advertiser")
    assert (body["decision"], body["ownerBp"], body["decidedAt"]) == ("", None, None)
    assert [(one["kind"], one["content"], one["addedBy"]) for one in body["evidence"]] == [
        ("TEXT", "Not what I asked for", "advertiser"),
        ("LINK", "https://a.example", "owner"),
    ]
    assert call(anna, "get", path).json() == body
    deal = call(anna, "get", f"/deals/{deal_id}").json()
    assert (deal["status"], deal["actions"]) == ("DISPUTED", [])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "QUALITY"},
        {"reason": "NOT_APPROVED", "statement": "x"},
        {"reason": "QUALITY", "statement": "x" * 1001},
    ],
)
def test_a_malformed_dispute_is_refused(
    market: Market, anna: Client, body: dict[str, object]
) -> None:
    deal_id = market.offer()

    with nothing_changes():
        answer = call(anna, "post", f"/deals/{deal_id}/dispute", body)
    assert code(answer) == (400, "VALIDATION_FAILED")


def test_a_paid_deal_is_cancelled_by_both_over_http(funded_market: FundedMarket) -> None:
    deal_id = funded_market.funded()
    anna, oleg, path = sign_in(ANNA), sign_in(OLEG), f"/deals/{deal_id}"

    asked = call(oleg, "post", f"{path}/cancel", {"reason": "no time"}).json()
    assert (asked["status"], asked["cancelAskedBy"]) == ("FUNDED", "owner")
    assert call(anna, "get", path).json()["actions"] == ["AGREE_TO_CANCEL"]
    agreed = call(anna, "post", f"{path}/cancel").json()

    assert (agreed["status"], agreed["cancelAskedBy"]) == ("CANCELLED", "")


def test_who_saw_an_earlier_version_decides_nothing(funded_market: FundedMarket) -> None:
    deal_id = funded_market.submitted()
    anna, path = sign_in(ANNA), f"/deals/{deal_id}"
    seen = call(anna, "get", path).json()["version"]
    funded_market.do(services.request_revision, deal_id, ADVERTISER, note="shorter")
    other = Draft("Another ad")
    funded_market.do(
        services.submit_creative, deal_id, OWNER, draft=other, parts=funded_market.parts(other)
    )

    with nothing_changes():
        stale = call(anna, "post", f"{path}/creative/approve", {"version": seen})
    assert code(stale) == (409, "CONFLICT")
    now = call(anna, "get", path).json()["version"]
    approved = call(anna, "post", f"{path}/creative/approve", {"version": now})
    assert approved.json()["status"] == "CREATIVE_APPROVED"


def test_an_acceptance_of_an_earlier_version_is_refused(market: Market, oleg: Client) -> None:
    deal_id = market.offer()

    with nothing_changes(), pytest.raises(services.DealMovedOn):
        market.do(services.accept_offer, deal_id, OWNER, version=0)
    market.do(services.accept_offer, deal_id, OWNER, version=1)

    assert market.status(deal_id) == "ACCEPTED"


def test_limits_are_409(market: Market, anna: Client) -> None:
    body = {"channelId": market.channel_id, **NEW_DEAL}
    *taken, refused = [call(anna, "post", "/deals", body).json()["id"] for _ in range(6)]
    for deal_id in taken:
        assert call(anna, "post", f"/deals/{deal_id}/submit", {}).status_code == 200

    with nothing_changes():
        answer = call(anna, "post", f"/deals/{refused}/submit", {})
    assert code(answer) == (409, "LIMIT_EXCEEDED")


def test_everybody_lists_their_own_deals(
    market: Market, anna: Client, oleg: Client, ivan: Client
) -> None:
    draft, first, second = market.draft(), market.offer(), market.offer()

    def listed(client: Client, **params: str | int) -> list[str]:
        items = client.get("/api/v1/deals", params).json()["items"]
        return [item["id"] for item in items]

    assert listed(anna) == [str(second), str(first), str(draft)]
    assert listed(anna, status="DRAFT") == [str(draft)]
    assert listed(oleg) == [str(second), str(first)]
    assert listed(oleg, side="advertiser") == []
    assert listed(oleg, side="owner") == [str(second), str(first)]
    assert listed(ivan) == []
    page = anna.get("/api/v1/deals", {"limit": 2}).json()
    assert listed(anna, limit=2, cursor=page["nextCursor"]) == [str(draft)]


def test_a_long_list_takes_no_more_queries(
    market: Market, anna: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    market.offer()
    with CaptureQueriesContext(connection) as one:
        anna.get("/api/v1/deals")
    for _ in range(3):
        market.open_channel()
        market.offer()

    with django_assert_num_queries(len(one)):
        assert len(anna.get("/api/v1/deals").json()["items"]) == 4


def test_the_deposit_is_shown_with_link_and_qr(funded_market: FundedMarket) -> None:
    deal_id = funded_market.awaiting_payment()
    anna, path = sign_in(ANNA), f"/deals/{deal_id}"
    assert code(call(anna, "get", f"{path}/deposit")) == (409, "REFUND_ADDRESS_REQUIRED")
    assert code(call(anna, "put", f"{path}/refund-address", {"address": "x"})) == (
        422,
        "INVALID_TON_ADDRESS",
    )

    address = {"address": REFUND_ADDRESS}
    assert code(call(anna, "put", f"{path}/refund-address", address)) == (409, "ADDRESS_NOT_PROVED")
    assert code(call(anna, "get", f"{path}/deposit")) == (409, "REFUND_ADDRESS_REQUIRED")

    given = call(anna, "put", f"{path}/refund-address", {**address, "typedByHand": True})

    assert given.status_code == 200
    answer = given.json()
    counts_from = datetime.fromisoformat(answer.pop("effectiveAt"))
    assert counts_from <= timezone.now()
    assert answer == {
        "address": friendly_address(REFUND_ADDRESS, network="testnet"),
        "comment": "",
        "proved": False,
        "provedAt": None,
        "warning": "Typed by hand, not proved: money sent to a wrong address is lost.",
    }
    shown = call(anna, "get", f"{path}/deposit").json()
    assert shown["amountNano"] == "50000000000"
    assert shown["link"] == f"ton://transfer/{shown['address']}?amount=50000000000"
    assert shown["qr"].startswith("data:image/svg+xml")
    assert (shown["state"], shown["receivedNano"]) == ("AWAITING", "0")
    escrow = call(sign_in(OLEG), "get", f"{path}/escrow").json()
    assert (escrow["state"], escrow["fundedNano"], escrow["payout"]) == ("AWAITING", None, None)
    assert shown["address"] not in str(escrow)


def test_a_refund_address_that_was_proved_needs_no_confirmation(
    funded_market: FundedMarket,
) -> None:
    deal_id = funded_market.awaiting_payment()
    wallet, at = ProvingWallet("anna"), timezone.now()
    prove(wallet, user_id=ANNA, at=at)

    address = {"address": wallet.raw_address, "comment": "memo"}
    given = call(sign_in(ANNA), "put", f"/deals/{deal_id}/refund-address", address).json()

    assert given["address"] == friendly_address(wallet.raw_address, network="testnet")
    assert (given["proved"], given["warning"], given["comment"]) == (True, "", "memo")
    assert given["provedAt"] == at.isoformat().replace("+00:00", "Z")


def test_before_the_address_there_is_nothing_to_pay(market: Market, anna: Client) -> None:
    deal_id = market.accepted()

    for path in ("deposit", "escrow"):
        assert code(call(anna, "get", f"/deals/{deal_id}/{path}")) == (409, "CONFLICT")


def test_acceptance_asks_telegram_who_owns_the_channel(live_market: LiveMarket) -> None:
    deal_id = live_market.offer()
    oleg = sign_in(OLEG)
    live_market.telegram.set_member(live_market.channel_id, OLEG, "member")

    with nothing_changes():
        answer = call(oleg, "post", f"/deals/{deal_id}/accept")
    assert code(answer) == (403, "CHANNEL_USER_NOT_ADMIN")

    live_market.telegram.set_member(live_market.channel_id, OLEG, "creator", by=OLEG)
    assert call(oleg, "post", f"/deals/{deal_id}/accept").json()["status"] == "ACCEPTED"


def test_an_ad_goes_from_draft_to_channel(live_market: LiveMarket) -> None:
    deal_id = live_market.funded()
    anna, oleg, path = sign_in(ANNA), sign_in(OLEG), f"/deals/{deal_id}"
    assert code(call(oleg, "get", f"{path}/creative")) == (404, "NOT_FOUND")
    draft = {
        "text": "<b>Fresh</b> coffee",
        "parseMode": "HTML",
        "buttons": [{"label": "Order", "url": "https://example.com"}],
    }

    submitted = call(oleg, "post", f"{path}/creative", draft)
    assert submitted.status_code == 201, submitted.content
    revision = call(anna, "post", f"{path}/creative/revision", {"note": "shorter"}).json()
    assert revision["status"] == "FUNDED"
    again = call(oleg, "post", f"{path}/creative", {**draft, "text": "Coffee"})
    assert again.json()["version"] == 2
    history = call(anna, "get", f"{path}/creative/history").json()["items"]
    assert [(item["version"], item["revisionNote"]) for item in history] == [
        (1, "shorter"),
        (2, ""),
    ]
    assert history[0]["buttons"] == draft["buttons"]
    approved = call(anna, "post", f"{path}/creative/approve").json()
    assert approved["status"] == "CREATIVE_APPROVED"
    published = call(oleg, "post", f"{path}/publish").json()
    assert published["status"] == "SCHEDULED"

    live_market.post()

    assert [post["text"] for post in live_market.posts()] == ["Coffee"]
    assert call(anna, "get", path).json()["status"] == "DELIVERY_VERIFYING"


@pytest.mark.parametrize(
    ("draft", "status", "error"),
    [
        ({}, 422, "CREATIVE_INVALID"),
        ({"text": "x", "parseMode": "BBCode"}, 400, "VALIDATION_FAILED"),
        ({"text": "<b>x", "parseMode": "HTML"}, 422, "CREATIVE_INVALID"),
        ({"media": [{"kind": "PHOTO", "fileId": "nothing"}]}, 422, "CREATIVE_INVALID"),
        (
            {"text": "x", "buttons": [{"label": "a", "url": "javascript:x"}]},
            400,
            "VALIDATION_FAILED",
        ),
        ({"text": "a casino"}, 422, "CREATIVE_INVALID"),
    ],
)
def test_a_draft_that_breaks_a_rule(
    live_market: LiveMarket, draft: dict[str, object], status: int, error: str
) -> None:
    deal_id = live_market.funded(forbidden_words=["casino"])

    with nothing_changes():
        answer = call(sign_in(OLEG), "post", f"/deals/{deal_id}/creative", draft)
    assert code(answer) == (status, error)
