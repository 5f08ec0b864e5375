"""Registering a channel over HTTP: Telegram is asked who runs it; a refusal leaves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from advertmarket.audit.models import AuditEntry
from advertmarket.messaging.models import OutboxMessage
from channels.models import Channel, PricingRule
from channels.selectors import Right, channels_of, get_channel, rights_of
from sandbox.telegram.control import Telegram
from tests.advertmarket.conftest import sign_in
from tests.bot_chat import BotChat
from tests.local_telegram import local_telegram

OLEG, IVAN = 1002, 1003

pytestmark = pytest.mark.django_db


@pytest.fixture
def telegram(tmp_path: Path, settings: Settings) -> Iterator[Telegram]:
    with local_telegram(tmp_path, settings) as telegram:
        telegram.create_user(OLEG, "Oleg", username="oleg", started=True)
        telegram.create_user(IVAN, "Ivan", username="ivan", started=True)
        yield telegram


@pytest.fixture
def channel_id(telegram: Telegram) -> int:
    """A channel of Oleg's where the bot may post and edit."""
    channel_id = telegram.create_channel(
        "News", creator_id=OLEG, description="All of it", subscribers=500
    )
    telegram.add_bot(channel_id, by=OLEG)
    return channel_id


@pytest.fixture
def oleg() -> Client:
    return sign_in(OLEG)


def register(client: Client, chat: object, **fields: Any) -> Any:
    body = {"chat": str(chat), **fields}
    return client.post("/api/v1/channels", body, content_type="application/json")


def test_the_creator_registers_a_channel(oleg: Client, channel_id: int) -> None:
    answer = register(oleg, channel_id, topic="news", language="en")

    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert body.pop("createdAt").endswith("Z")
    assert body == {
        "id": channel_id,
        "title": "News",
        "username": "",
        "description": "All of it",
        "topic": "news",
        "language": "en",
        "subscribers": 502,
        "pricing": [],
    }
    channel = Channel.objects.get()
    assert (channel.owner_id, channel.creator_id) == (OLEG, OLEG)
    assert AuditEntry.objects.get(action="channel.registered").object_id == str(channel_id)


def test_a_public_channel_is_registered_by_its_name(oleg: Client, telegram: Telegram) -> None:
    channel_id = telegram.create_channel("City", creator_id=OLEG, username="the_city")
    telegram.add_bot(channel_id, by=OLEG)

    assert register(oleg, "@the_city").json()["id"] == channel_id


def test_an_administrator_who_may_post_registers_it_too(
    telegram: Telegram, channel_id: int
) -> None:
    telegram.set_member(channel_id, IVAN, "administrator", can_post_messages=True)

    assert register(sign_in(IVAN), channel_id).status_code == 201

    channel = Channel.objects.get()
    assert (channel.owner_id, channel.creator_id) == (IVAN, OLEG)
    event = OutboxMessage.objects.get(event_type="CHANNEL_REGISTERED")
    assert event.payload == {"channel_id": channel_id, "owner_id": IVAN, "creator_id": OLEG}


@pytest.mark.parametrize(
    ("spoil", "status", "code"),
    [
        (lambda t, c: t.remove_bot(c), 409, "CHANNEL_INACCESSIBLE"),
        (
            lambda t, c: t.add_bot(c, can_post_messages=False),
            409,
            "CHANNEL_BOT_INSUFFICIENT_RIGHTS",
        ),
        (
            lambda t, c: t.add_bot(c, can_edit_messages=False),
            409,
            "CHANNEL_BOT_INSUFFICIENT_RIGHTS",
        ),
        (lambda t, c: t.set_member(c, OLEG, "member"), 403, "CHANNEL_USER_NOT_ADMIN"),
        (
            lambda t, c: t.set_member(c, OLEG, "administrator", can_post_messages=False),
            403,
            "CHANNEL_USER_NOT_ADMIN",
        ),
        (lambda t, c: t.change_channel(c, protected=True), 409, "CHANNEL_INACCESSIBLE"),
        (lambda t, c: t.fault("getChatMember", code=502), 503, "SERVICE_UNAVAILABLE"),
        (lambda t, c: t.fault("getChat", lost=True), 503, "SERVICE_UNAVAILABLE"),
    ],
)
def test_without_proof_there_is_no_channel(
    oleg: Client,
    telegram: Telegram,
    channel_id: int,
    spoil: Callable[[Telegram, int], object],
    status: int,
    code: str,
) -> None:
    spoil(telegram, channel_id)

    answer = register(oleg, channel_id)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert not Channel.objects.exists()


def test_the_bot_as_a_mere_member_is_not_enough(
    oleg: Client, telegram: Telegram, channel_id: int
) -> None:
    bot_id = int(telegram.state()["bot"]["id"])
    telegram.set_member(channel_id, bot_id, "member")

    answer = register(oleg, channel_id)

    assert answer.json()["error_code"] in {"CHANNEL_BOT_NOT_ADMIN", "CHANNEL_INACCESSIBLE"}
    assert not Channel.objects.exists()


def test_a_stranger_cannot_register_it(channel_id: int) -> None:
    answer = register(sign_in(IVAN), channel_id)

    assert (answer.status_code, answer.json()["error_code"]) == (403, "CHANNEL_USER_NOT_ADMIN")
    assert not Channel.objects.exists()


@pytest.mark.parametrize("chat", ["@no_such_channel", "-1009999999999"])
def test_an_unknown_channel_is_inaccessible(oleg: Client, telegram: Telegram, chat: str) -> None:
    answer = register(oleg, chat)

    assert (answer.status_code, answer.json()["error_code"]) == (409, "CHANNEL_INACCESSIBLE")


def test_a_group_is_no_channel(oleg: Client, telegram: Telegram) -> None:
    group = telegram.create_channel("Chat", creator_id=OLEG, group=True)
    telegram.add_bot(group, by=OLEG)

    assert register(oleg, group).json()["error_code"] == "CHANNEL_INACCESSIBLE"


@pytest.mark.parametrize("chat", ["", "news", "1002", "@ab", "-12x"])
def test_a_malformed_name_is_refused_without_asking(oleg: Client, chat: str) -> None:
    answer = register(oleg, chat)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_FAILED")


def test_a_second_registration_changes_nothing(
    oleg: Client, telegram: Telegram, channel_id: int
) -> None:
    register(oleg, channel_id, topic="news")
    telegram.set_member(channel_id, IVAN, "administrator", can_post_messages=True)

    for client in (oleg, sign_in(IVAN)):
        answer = register(client, channel_id, topic="other")
        assert (answer.status_code, answer.json()["error_code"]) == (
            409,
            "CHANNEL_ALREADY_REGISTERED",
        )
    channel = Channel.objects.get()
    assert (channel.owner_id, channel.topic) == (OLEG, "news")


def test_the_owner_has_every_right_others_have_none(oleg: Client, channel_id: int) -> None:
    register(oleg, channel_id)

    assert rights_of(user_id=OLEG, channel_id=channel_id) == frozenset(Right)
    assert rights_of(user_id=IVAN, channel_id=channel_id) == frozenset()
    assert (channels_of(user_id=OLEG), channels_of(user_id=IVAN)) == ([channel_id], [])


# --- Looking, prices ------------------------------------------------------------------------------


def set_price(client: Client, channel_id: int, nano: object, ad_format: str = "STANDARD") -> Any:
    return client.post(
        f"/api/v1/channels/{channel_id}/pricing",
        {"format": ad_format, "priceNano": nano},
        content_type="application/json",
    )


def test_a_price_replaces_the_one_before(oleg: Client, channel_id: int) -> None:
    register(oleg, channel_id)

    set_price(oleg, channel_id, "5000000000")
    answer = set_price(oleg, channel_id, "7000000000")
    set_price(oleg, channel_id, "7000000000")

    assert answer.status_code == 201
    assert answer.json()["pricing"] == [{"format": "STANDARD", "priceNano": "7000000000"}]
    rules = PricingRule.objects.order_by("id").values_list("price_nano", "is_active")
    assert list(rules) == [(5_000_000_000, False), (7_000_000_000, True)]


@pytest.mark.parametrize("nano", ["999999999", 5_000_000_000, "1.5", "-1", ""])
def test_a_price_below_one_ton_or_not_in_nano_is_refused(
    oleg: Client, channel_id: int, nano: object
) -> None:
    register(oleg, channel_id)

    assert set_price(oleg, channel_id, nano).json()["error_code"] == "VALIDATION_FAILED"
    assert not PricingRule.objects.exists()


def test_others_set_no_price(oleg: Client, channel_id: int) -> None:
    register(oleg, channel_id)

    answer = set_price(sign_in(IVAN), channel_id, "5000000000")

    assert (answer.status_code, answer.json()["error_code"]) == (
        403,
        "AUTH_INSUFFICIENT_PERMISSIONS",
    )
    assert not PricingRule.objects.exists()


def change(client: Client, method: str, path: str, body: object = None) -> Any:
    send = getattr(client, method)
    return send(f"/api/v1/channels/{path}", body or {}, content_type="application/json")


def test_a_formats_price_is_changed_and_withdrawn(oleg: Client, channel_id: int) -> None:
    register(oleg, channel_id)
    path = f"{channel_id}/pricing/STANDARD"

    put = change(oleg, "put", path, {"priceNano": "5000000000"})
    assert put.json()["pricing"] == [{"format": "STANDARD", "priceNano": "5000000000"}]
    for _ in range(2):
        assert change(oleg, "delete", path).status_code == 204

    assert oleg.get(f"/api/v1/channels/{channel_id}").json()["pricing"] == []
    assert list(PricingRule.objects.values_list("is_active", flat=True)) == [False]
    assert change(oleg, "delete", f"{channel_id}/pricing/OTHER").status_code == 404


def test_a_listing_is_changed_by_its_owner(oleg: Client, channel_id: int) -> None:
    register(oleg, channel_id, topic="news", language="en")

    changed = change(oleg, "put", str(channel_id), {"topic": "city", "language": "ru"})

    assert (changed.json()["topic"], changed.json()["language"]) == ("city", "ru")
    assert changed.json()["title"] == "News"
    assert change(oleg, "put", str(channel_id), {"topic": "x"}).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("put", "", {"topic": "x", "language": "en"}),
        ("delete", "", None),
        ("put", "/pricing/STANDARD", {"priceNano": "5000000000"}),
        ("delete", "/pricing/STANDARD", None),
    ],
)
def test_others_change_nothing(
    oleg: Client, channel_id: int, method: str, path: str, body: object
) -> None:
    register(oleg, channel_id, topic="news")
    set_price(oleg, channel_id, "7000000000")
    before = oleg.get(f"/api/v1/channels/{channel_id}").json()

    answer = change(sign_in(IVAN), method, f"{channel_id}{path}", body)

    assert answer.json()["error_code"] == "AUTH_INSUFFICIENT_PERMISSIONS"
    assert oleg.get(f"/api/v1/channels/{channel_id}").json() == before
    assert change(sign_in(IVAN), method, f"-1007{path}", body).status_code == 404


def test_a_removed_channel_is_gone_until_its_owner_registers_it_again(
    oleg: Client, telegram: Telegram, channel_id: int
) -> None:
    register(oleg, channel_id, topic="news")

    assert change(oleg, "delete", str(channel_id)).status_code == 204

    assert oleg.get(f"/api/v1/channels/{channel_id}").status_code == 404
    assert oleg.get("/api/v1/channels").json()["items"] == []
    assert change(oleg, "delete", str(channel_id)).status_code == 404
    assert AuditEntry.objects.filter(action="channel.removed").count() == 1
    telegram.set_member(channel_id, IVAN, "administrator", can_post_messages=True)
    assert register(sign_in(IVAN), channel_id).status_code == 409
    assert register(oleg, channel_id, topic="city").status_code == 201
    assert oleg.get(f"/api/v1/channels/{channel_id}").json()["topic"] == "city"


def test_everybody_sees_channels_newest_first(oleg: Client, telegram: Telegram) -> None:
    ids = []
    for name in ("One", "Two", "Three"):
        channel_id = telegram.create_channel(name, creator_id=OLEG)
        telegram.add_bot(channel_id, by=OLEG)
        register(oleg, channel_id)
        ids.append(channel_id)
    ivan = sign_in(IVAN)

    first = ivan.get("/api/v1/channels", {"limit": 2}).json()
    second = ivan.get("/api/v1/channels", {"limit": 2, "cursor": first["nextCursor"]}).json()

    shown = [channel["id"] for channel in (*first["items"], *second["items"])]
    assert (shown, first["hasNext"], second["hasNext"]) == (ids[::-1], True, False)
    assert ivan.get(f"/api/v1/channels/{ids[0]}").json()["title"] == "One"


def test_an_unknown_channel_is_404(oleg: Client) -> None:
    answer = oleg.get("/api/v1/channels/-1001")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "CHANNEL_NOT_FOUND")


def test_a_channel_post_tells_the_newest_message_id(oleg: Client, channel_id: int) -> None:
    register(oleg, channel_id)
    chat = {"id": channel_id, "type": "channel", "title": "News"}

    for message_id in (7, 9, 8):
        BotChat(OLEG).receive(
            "channel_post", {"message_id": message_id, "chat": chat, "date": 0, "text": "x"}
        )

    assert get_channel(channel_id).last_message_id == 9
