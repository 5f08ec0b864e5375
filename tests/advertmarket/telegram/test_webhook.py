"""Who may call the webhook, and what it keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from advertmarket.telegram import inbox
from advertmarket.telegram.models import Update
from tests.samples import Since

pytestmark = pytest.mark.django_db

URL = "/api/v1/bot/webhook"
MESSAGE = {
    "update_id": 900,
    "message": {
        "message_id": 5,
        "date": 1_800_000_000,
        "chat": {"id": 42, "type": "private"},
        "from": {"id": 42, "is_bot": False, "first_name": "Ann"},
        "text": "hello",
    },
}


def post(body: Any = MESSAGE, *, secret: str | None = None) -> int:
    given = django_settings.TELEGRAM_WEBHOOK_SECRET if secret is None else secret
    headers = {"X-Telegram-Bot-Api-Secret-Token": given} if given else {}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (
        Client(enforce_csrf_checks=True, raise_request_exception=False)
        .post(URL, content, content_type="application/json", headers=headers)
        .status_code
    )


def test_update_is_kept_as_it_came() -> None:
    assert reverse("telegram-webhook") == URL
    assert post() == 200

    update = Update.objects.get()
    assert (update.id, update.chat_id, update.kind, update.state) == (900, 42, "message", "PENDING")
    assert json.loads(update.body) == MESSAGE


def test_same_update_twice_is_kept_once() -> None:
    assert [post(), post()] == [200, 200]

    assert Update.objects.count() == 1


@pytest.mark.parametrize("secret", ["", "wrong-webhook-secret-16", "секрет", "x" * 10_000])
def test_wrong_secret_is_refused_and_nothing_kept(secret: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert post(secret=secret) == 403

    assert len(queries) == 0
    assert Update.objects.count() == 0


def test_old_secret_counts_while_rotating(settings: Settings) -> None:
    settings.TELEGRAM_WEBHOOK_SECRET = "the-new-webhook-secret"
    assert post(secret="test-webhook-secret-16") == 403

    settings.OLD_TELEGRAM_WEBHOOK_SECRETS = ["test-webhook-secret-16"]
    assert post(secret="test-webhook-secret-16") == 200
    assert post(secret="the-new-webhook-secret") == 200


def test_without_a_secret_of_ours_nobody_comes_in(settings: Settings) -> None:
    settings.TELEGRAM_WEBHOOK_SECRET = ""

    assert post(secret="") == 403


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b'{"update_id": 1}', b'{"a": {}}'])
def test_what_is_no_update_is_refused(body: bytes) -> None:
    assert post(body) == 400

    assert Update.objects.count() == 0


def test_body_that_jsonb_could_not_hold_is_kept() -> None:
    text = "\\u0000 and \\ud800"
    body = json.dumps(MESSAGE).replace("hello", text).encode()

    assert post(body) == 200
    assert Update.objects.get().body == body.decode()


def test_kind_of_update_that_is_not_known_yet_is_kept() -> None:
    assert post({"update_id": 901, "brand_new": {"from": {"id": 7}}}) == 200

    assert Update.objects.get().chat_id == 7


def test_calls_are_counted_by_their_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    since = Since()
    post()
    post(secret="wrong-webhook-secret-16")
    monkeypatch.setattr(inbox, "store", lambda *_, **__: 1 / 0)
    post()

    statuses = ("200", "400", "403", "500")
    assert [since("telegram_webhook_calls_total", status=one) for one in statuses] == [1, 0, 1, 1]
    assert since("telegram_webhook_duration_seconds_count") == 3


def test_only_post_is_answered() -> None:
    assert Client().get(URL).status_code == 405


def test_one_statement_is_all_it_takes() -> None:
    with CaptureQueriesContext(connection) as queries:
        post()

    assert [query["sql"].split()[0] for query in queries] == ["INSERT"]
