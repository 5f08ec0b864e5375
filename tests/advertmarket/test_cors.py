"""The Mini App lives at another origin than the API and may call it; no other origin may."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from tests.advertmarket.conftest import sign_in

MINI_APP = settings.MINI_APP_URL
STRANGERS = ["https://evil.example", f"{MINI_APP}.evil.example", "null", f"{MINI_APP}:8443"]


def ask_in_advance(origin: str, path: str = "/api/v1/deals") -> Any:
    return Client().options(
        path,
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,idempotency-key",
        },
    )


def test_the_mini_app_may_ask_in_advance_without_a_token() -> None:
    answer = ask_in_advance(MINI_APP)

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Access-Control-Allow-Origin"] == MINI_APP == "https://app.advertmarket.com"
    assert answer["Access-Control-Allow-Methods"] == "GET, POST, PUT, PATCH, DELETE"
    assert answer["Access-Control-Allow-Headers"] == (
        "Authorization, Content-Type, Idempotency-Key, X-Correlation-Id"
    )
    assert answer["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in answer


@pytest.mark.django_db
def test_the_mini_app_may_read_the_answer_and_what_stands_beside_it() -> None:
    answer = sign_in().get("/api/v1/profile", headers={"origin": MINI_APP})

    assert answer.status_code == 200
    assert answer["Access-Control-Allow-Origin"] == MINI_APP
    exposed = answer["Access-Control-Expose-Headers"].split(", ")
    assert {"RateLimit-Remaining", "Retry-After", "X-Correlation-Id"} <= set(exposed)
    assert "Origin" in answer["Vary"].split(", ")
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.django_db
def test_the_mini_app_may_read_a_refusal() -> None:
    answer = Client().get("/api/v1/profile", headers={"origin": MINI_APP})

    assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (401, MINI_APP)


@pytest.mark.django_db
@pytest.mark.parametrize("origin", STRANGERS)
def test_no_other_origin_may(origin: str) -> None:
    for answer in (
        ask_in_advance(origin),
        sign_in().get("/api/v1/profile", headers={"origin": origin}),
    ):
        assert not [name for name in answer.headers if name.startswith("Access-Control-")]


def test_what_is_not_the_api_is_for_no_other_origin() -> None:
    answer = ask_in_advance(MINI_APP, "/admin/login/")

    assert not [name for name in answer.headers if name.startswith("Access-Control-")]
