"""Login and profile over HTTP: the answers, the refusals, and that a refusal changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.models import PayoutAddress, Pii, ProofPayload, Session, TelegramUser
from advertmarket.actors import Actor
from advertmarket.ton_address import friendly_address
from tests.accounts.launches import launch
from tests.accounts.wallets import ProvingWallet, body_of

ADDRESS = friendly_address("0:" + "ab" * 32, network="testnet")

pytestmark = pytest.mark.django_db


def post_login(client: Client, init_data: object) -> Any:
    return client.post(
        "/api/v1/auth/login", {"initData": init_data}, content_type="application/json"
    )


@pytest.fixture
def token(client: Client) -> str:
    answer = post_login(client, launch(42, at=timezone.now(), username="ann"))
    assert answer.status_code == 200
    return str(answer.json()["token"])


@pytest.fixture
def ann(token: str) -> Client:
    return Client(headers={"authorization": f"Bearer {token}"})


def test_login_answers_with_token_lifetime_and_user(client: Client) -> None:
    answer = post_login(client, launch(42, at=timezone.now(), username="ann"))

    assert answer.status_code == 200
    body = answer.json()
    assert sorted(body) == ["expiresIn", "token", "user"]
    assert 86_390 < body["expiresIn"] <= 86_400
    assert body["user"] == {"id": 42, "firstName": "Ann", "username": "ann", "language": "en"}


@pytest.mark.parametrize(
    ("init_data", "status", "code"),
    [
        ("auth_date=1&hash=00", 401, "AUTH_INIT_DATA_INVALID"),
        ("", 400, "VALIDATION_FAILED"),
        (7, 401, "AUTH_INIT_DATA_INVALID"),
        (None, 400, "VALIDATION_FAILED"),
        ("x" * 8193, 400, "VALIDATION_FAILED"),
        ("a=\ud800", 400, "VALIDATION_FAILED"),
    ],
)
def test_a_login_that_telegram_did_not_sign_is_refused(
    client: Client, init_data: object, status: int, code: str
) -> None:
    answer = post_login(client, init_data)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert not TelegramUser.objects.exists()
    assert not Session.objects.exists()


def test_a_stale_launch_lets_the_app_say_reopen(client: Client) -> None:
    answer = post_login(client, launch(42, at=timezone.now() - timedelta(seconds=310)))

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_INIT_DATA_EXPIRED")
    assert not TelegramUser.objects.exists()


def test_sign_in_is_limited_to_five_a_minute_for_each_address(client: Client) -> None:
    def status(address: str) -> int:
        answer = client.post(
            "/api/v1/auth/login",
            {"initData": "x"},
            content_type="application/json",
            headers={"x-forwarded-for": f"6.6.6.6, {address}"},
        )
        return int(answer.status_code)

    assert [status("1.1.1.1") for _ in range(6)] == [401] * 5 + [429]
    assert status("2.2.2.2") == 401


def test_after_logout_the_token_is_dead(ann: Client) -> None:
    assert ann.post("/api/v1/auth/logout").status_code == 204

    answer = ann.get("/api/v1/profile")
    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_INVALID_TOKEN")
    assert answer["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer x", "Bearer a b", "Basic dTpw", "Bearer \xff.\xff.\xff"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/v1/profile"),
        ("patch", "/api/v1/profile"),
        ("put", "/api/v1/profile/payout-address"),
        ("post", "/api/v1/auth/ton-proof/payload"),
        ("post", "/api/v1/auth/ton-proof"),
        ("post", "/api/v1/auth/logout"),
    ],
)
def test_without_a_good_token_there_is_401(method: str, path: str, header: str | None) -> None:
    client = Client(headers={"authorization": header} if header else None)

    answer = getattr(client, method)(path, content_type="application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (401, "AUTH_INVALID_TOKEN")


def test_a_blocked_user_gets_403_on_the_next_request(ann: Client) -> None:
    with transaction.atomic():
        services.block_user(user_id=42, actor=Actor.operator(1), reason="fraud", at=timezone.now())

    answer = ann.get("/api/v1/profile")
    assert (answer.status_code, answer.json()["error_code"]) == (403, "USER_BLOCKED")


def test_the_profile_is_shown(ann: Client) -> None:
    assert ann.get("/api/v1/profile").json() == {
        "id": 42,
        "firstName": "Ann",
        "username": "ann",
        "language": "en",
        "payoutAddress": None,
    }


def test_the_language_is_changed(ann: Client) -> None:
    answer = ann.patch("/api/v1/profile", {"language": "ru"}, content_type="application/json")

    assert (answer.status_code, answer.json()["language"]) == (200, "ru")
    assert TelegramUser.objects.get().language == "ru"


def test_an_unknown_language_is_refused(ann: Client) -> None:
    answer = ann.patch("/api/v1/profile", {"language": "tlh"}, content_type="application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_FAILED")
    assert [violation["field"] for violation in answer.json()["violations"]] == ["language"]
    assert TelegramUser.objects.get().language == "en"


def test_the_payout_address_is_set_and_shown(ann: Client) -> None:
    answer = ann.put(
        "/api/v1/profile/payout-address",
        {"address": ADDRESS, "comment": "memo 7", "typedByHand": True},
        content_type="application/json",
    )

    assert answer.status_code == 200
    body = answer.json()
    assert (body["address"], body["comment"]) == (ADDRESS, "memo 7")
    assert (body["proved"], body["provedAt"]) == (False, None)
    assert body["warning"] == "Typed by hand, not proved: money sent to a wrong address is lost."
    assert ann.get("/api/v1/profile").json()["payoutAddress"] == answer.json()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"address": "UQ"}, 422, "INVALID_TON_ADDRESS"),
        ({"address": ADDRESS}, 409, "ADDRESS_NOT_PROVED"),
        ({"address": ADDRESS, "typedByHand": False}, 409, "ADDRESS_NOT_PROVED"),
        ({"address": ADDRESS, "typedByHand": "x"}, 400, "VALIDATION_FAILED"),
        ({"address": ADDRESS, "comment": "й" * 61}, 422, "INVALID_TON_ADDRESS"),
        ({"address": ADDRESS, "comment": "x" * 121}, 400, "VALIDATION_FAILED"),
        ({"address": ADDRESS, "comment": "a\0b"}, 400, "VALIDATION_FAILED"),
        ({"address": ["x"]}, 400, "VALIDATION_FAILED"),
        ({}, 400, "VALIDATION_FAILED"),
        ([], 400, "VALIDATION_FAILED"),
    ],
)
def test_a_bad_payout_address_is_refused_and_nothing_changes(
    ann: Client, body: object, status: int, code: str
) -> None:
    answer = ann.put("/api/v1/profile/payout-address", body, content_type="application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert not Pii.objects.exists()
    assert not PayoutAddress.objects.exists()


WALLET = ProvingWallet("ann")
TOO_LONG = {"address": 101, "network": 21, "public_key": 101}
TOO_LONG_IN_PROOF = {"signature": 101, "payload": 129, "state_init": 10_001}


def ask_for_proof(ann: Client) -> str:
    answer = ann.post("/api/v1/auth/ton-proof/payload")
    assert answer.status_code == 200
    assert answer.json()["expiresIn"] == 900
    return str(answer.json()["payload"])


def post_proof(ann: Client, body: object) -> Any:
    return ann.post("/api/v1/auth/ton-proof", body, content_type="application/json")


def test_a_proved_address_is_set_without_a_warning(ann: Client) -> None:
    proof = body_of(WALLET.prove(ask_for_proof(ann), at=timezone.now()))

    assert post_proof(ann, proof).status_code == 204

    answer = ann.put(
        "/api/v1/profile/payout-address",
        {"address": WALLET.raw_address},
        content_type="application/json",
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["address"] == friendly_address(WALLET.raw_address, network="testnet")
    assert (body["proved"], body["warning"]) == (True, "")
    assert body["provedAt"] is not None
    assert ann.get("/api/v1/profile").json()["payoutAddress"] == body


def test_the_time_of_a_proof_may_be_a_string_as_the_specification_has_it(ann: Client) -> None:
    body = body_of(WALLET.prove(ask_for_proof(ann), at=timezone.now()))
    body["proof"]["timestamp"] = str(body["proof"]["timestamp"])

    assert post_proof(ann, body).status_code == 204


def test_a_proof_sent_twice_is_refused(ann: Client) -> None:
    body = body_of(WALLET.prove(ask_for_proof(ann), at=timezone.now()))
    post_proof(ann, body)

    answer = post_proof(ann, body)

    assert (answer.status_code, answer.json()["error_code"]) == (409, "TON_PROOF_EXPIRED")


def test_a_proof_that_proves_nothing_says_why_and_leaves_no_trace(ann: Client) -> None:
    body = body_of(WALLET.prove(ask_for_proof(ann), at=timezone.now(), domain="evil.com"))

    answer = post_proof(ann, body)

    assert (answer.status_code, answer.json()["error_code"]) == (422, "TON_PROOF_INVALID")
    assert answer.json()["detail"] == (
        "The wallet's proof is not valid: it was made for another app."
    )
    assert not Pii.objects.exists()
    assert ProofPayload.objects.count() == 1


@pytest.mark.parametrize("field", [*TOO_LONG, *TOO_LONG_IN_PROOF])
def test_an_oversize_proof_is_refused_unread(ann: Client, field: str) -> None:
    body = body_of(WALLET.prove("x", at=timezone.now()))
    where = body if field in TOO_LONG else body["proof"]
    where[field] = "A" * {**TOO_LONG, **TOO_LONG_IN_PROOF}[field]

    answer = post_proof(ann, body)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_FAILED")
    assert not Pii.objects.exists()


@pytest.mark.parametrize("body", [None, [], {}, {"proof": None}, {"proof": {"domain": "x"}}])
def test_a_malformed_proof_is_refused(ann: Client, body: object) -> None:
    answer = post_proof(ann, body)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_FAILED")


def test_proofs_are_limited_as_signing_in_is(ann: Client) -> None:
    answers = [ann.post("/api/v1/auth/ton-proof/payload") for _ in range(6)]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
