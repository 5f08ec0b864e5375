"""Each refusal is a problem document with its code; and nothing happened."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from advertmarket.audit.models import AuditEntry
from advertmarket.errors import CATALOGUE, Code
from tests.advertmarket.conftest import sign_in

JSON = "application/json"
NOTE = {"shortText": "hello", "priceNano": "5"}


def post(client: Client, body: object, content_type: str = JSON, **headers: str) -> Any:
    return client.post("/api/v1/notes", body, content_type=content_type, headers=headers)


def test_a_domain_error_is_told_with_its_public_facts(ann: Client) -> None:
    correlation_id = str(uuid.uuid4())

    answer = post(ann, {**NOTE, "shortText": "refused"}, **{"x-correlation-id": correlation_id})

    assert answer.status_code == 409
    assert answer["Content-Type"] == "application/problem+json"
    assert answer["Retry-After"] == "7"
    assert answer["X-Correlation-Id"] == correlation_id
    document = answer.json()
    assert document.pop("timestamp").endswith("Z")
    assert document == {
        "type": "urn:advertmarket:error:INVALID_STATE_TRANSITION",
        "title": "The deal is not in a state for this",
        "status": 409,
        "detail": "The creative is DRAFT, so not sent.",
        "instance": "/api/v1/notes",
        "error_code": "INVALID_STATE_TRANSITION",
        "correlation_id": correlation_id,
        "currentStatus": "DRAFT",
    }
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["shortText", "priceNano"]),
        ({**NOTE, "shortText": "x" * 11}, ["shortText"]),
        ({**NOTE, "shortText": "a\0b"}, ["shortText"]),
        ({**NOTE, "shortText": {"a": 1}}, ["shortText"]),
        ({**NOTE, "priceNano": 5}, ["priceNano"]),
        ({**NOTE, "priceNano": "4"}, ["priceNano"]),
        ({**NOTE, "priceNano": "05"}, ["priceNano"]),
        ({**NOTE, "priceNano": "-5"}, ["priceNano"]),
        ({**NOTE, "priceNano": "5.0"}, ["priceNano"]),
        ({**NOTE, "priceNano": "9223372036854775808"}, ["priceNano"]),
        ({**NOTE, "priceNano": None}, ["priceNano"]),
        ([NOTE], ["body"]),
        ("null", ["body"]),
        ("7", ["body"]),
    ],
)
def test_what_does_not_validate_names_its_fields(
    ann: Client, body: object, fields: list[str]
) -> None:
    answer = post(ann, body)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_FAILED")
    assert [violation["field"] for violation in answer.json()["violations"]] == fields
    assert all(violation["message"] for violation in answer.json()["violations"])
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "{'a': 1}",
        b"\xff\xfe",
        '{"priceNano": NaN}',
        '{"a": "\\ud800"}',
        "[" * 100_000,
        "9" * 5000,
    ],
)
def test_what_is_no_json_is_refused(ann: Client, body: str | bytes) -> None:
    answer = post(ann, body)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_FAILED")
    assert not AuditEntry.objects.exists()


def test_another_content_type_is_refused(ann: Client) -> None:
    answer = post(ann, "shortText=hello", content_type="application/x-www-form-urlencoded")

    assert (answer.status_code, answer.json()["error_code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert not AuditEntry.objects.exists()


def test_an_accept_header_changes_nothing(ann: Client) -> None:
    answer = ann.get("/api/v1/few", headers={"accept": "image/png"})

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


def test_another_method_is_405_with_what_is_allowed(ann: Client) -> None:
    answer = ann.delete("/api/v1/notes")

    assert (answer.status_code, answer.json()["error_code"]) == (405, "METHOD_NOT_ALLOWED")
    assert set(answer["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST", "PUT"}


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_unknown_address_is_404(ann: Client, method: str) -> None:
    answer = getattr(ann, method)("/api/v1/nothing")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")
    assert answer["Content-Type"] == "application/problem+json"


def test_a_fault_of_ours_is_500_and_tells_nothing(
    ann: Client, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ann.put("/api/v1/notes")

    assert (answer.status_code, answer.json()["error_code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer.content.decode()
    assert "ZeroDivisionError" not in answer.content.decode()
    assert "ZeroDivisionError: secret detail" in caplog.text


def test_the_language_is_the_caller_s(db: None, small_api: None) -> None:
    russian = sign_in(7, language_code="ru")

    answer = russian.get("/api/v1/notes?limit=0", headers={"accept-language": "en"})

    assert answer["Content-Language"] == "ru"
    assert "больше" in answer.json()["violations"][0]["message"]


@pytest.mark.parametrize("given", ["no-uuid", "", "{6b1c1c52-55f1-4c29-8a37-1d5a3b0e62b9}", "x\ny"])
def test_a_correlation_id_that_is_no_uuid_is_replaced(ann: Client, given: str) -> None:
    answer = ann.get("/api/v1/few", headers={"x-correlation-id": given})

    assert str(uuid.UUID(answer["X-Correlation-Id"])) == answer["X-Correlation-Id"]
    assert answer["X-Correlation-Id"] not in given


def test_every_code_has_a_status_and_a_title() -> None:
    assert set(CATALOGUE) == set(Code)
    assert all(title for _status, title in CATALOGUE.values())
