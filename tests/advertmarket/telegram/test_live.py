"""Telegram's server, our web server, the worker's tasks: together."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
from django.core.management import call_command
from pytest_django import Settings

from advertmarket.telegram import tasks
from advertmarket.telegram.client import ALLOWED_UPDATES, bot
from advertmarket.telegram.models import OutgoingMessage, Update
from sandbox.telegram.control import Telegram
from tests.advertmarket.telegram.conftest import ANNA
from tests.database import Clone
from tests.local_web import local_web
from tests.waiting import wait_until


@pytest.fixture
def web(committed_db: Clone, settings: Settings) -> Iterator[str]:
    """The product's WSGI application on a port."""
    with local_web(settings) as url:
        yield url


def test_person_talks_to_the_bot(
    telegram: Telegram, web: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("register_webhook")
    assert f"webhook {web}/api/v1/bot/webhook, updates message, callback_query," in (
        capsys.readouterr().out
    )
    assert set(telegram.state()["webhook"]["allowed_updates"]) == set(ALLOWED_UPDATES)

    telegram.start(ANNA)
    wait_until(Update.objects.exists, what="the webhook's call")
    tasks.handle_updates()
    tasks.send_messages()
    telegram.send(ANNA, "/language")
    wait_until(lambda: Update.objects.count() == 2, what="the webhook's call")
    tasks.handle_updates()
    tasks.send_messages()

    [_, greeting, _, question] = telegram.messages(ANNA)
    assert greeting["text"].startswith("Здесь встречаются")
    worker = threading.Thread(
        target=lambda: (
            wait_until(lambda: Update.objects.count() == 3),
            tasks.handle_updates(),
        )
    )
    worker.start()
    press = telegram.press(ANNA, question["message_id"], "English")
    worker.join()

    assert press.answer is not None
    assert OutgoingMessage.objects.latest("id").text == "From now on I speak English."


def test_secret_is_changed_without_losing_an_update(
    telegram: Telegram, web: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the runbook says."""
    call_command("register_webhook")
    old = settings.TELEGRAM_WEBHOOK_SECRET
    settings.TELEGRAM_WEBHOOK_SECRET = "the-new-webhook-secret"
    settings.OLD_TELEGRAM_WEBHOOK_SECRETS = [old]
    telegram.start(ANNA)
    wait_until(Update.objects.exists, what="a call with the old secret")

    call_command("register_webhook")
    settings.OLD_TELEGRAM_WEBHOOK_SECRETS = []
    telegram.send(ANNA, "hello")
    wait_until(lambda: Update.objects.count() == 2, what="a call with the new secret")

    assert capsys.readouterr().out.endswith(" 0 pending, last error: none\n")


def test_what_telegram_could_not_bring_is_told(
    telegram: Telegram, web: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("register_webhook")
    settings.TELEGRAM_WEBHOOK_SECRET = "another-webhook-secret"
    telegram.start(ANNA)
    wait_until(lambda: bot().get_webhook_info().last_error, what="a refused call")
    settings.TELEGRAM_WEBHOOK_SECRET = "test-webhook-secret-16"

    call_command("register_webhook")

    assert "last error: Wrong response from the webhook: 403 Forbidden" in capsys.readouterr().out


def test_short_way_of_the_web_server_checks_the_secret_too(web: str) -> None:
    def post(secret: str) -> httpx.Response:
        return httpx.post(
            f"{web}/api/v1/bot/webhook",
            json={"update_id": 1, "message": {"chat": {"id": 1, "type": "private"}}},
            headers={"X-Telegram-Bot-Api-Secret-Token": secret},
        )

    assert post("wrong").status_code == 403
    assert not Update.objects.exists()

    answer = post("test-webhook-secret-16")
    assert (answer.status_code, answer.content) == (200, b"")
    assert "X-Correlation-Id" in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert Update.objects.get().id == 1


def test_short_way_is_as_secure_as_the_long_one(web: str) -> None:
    def headers(path: str) -> dict[str, str]:
        answer = httpx.post(f"{web}{path}", headers={"X-Forwarded-Proto": "https"})
        return {name: answer.headers[name] for name in due}

    due = [
        "Strict-Transport-Security",
        "X-Content-Type-Options",
        "Referrer-Policy",
        "Cross-Origin-Opener-Policy",
    ]
    short, long = headers("/api/v1/bot/webhook"), headers("/api/v1/nothing")

    assert short == long
    assert short["X-Content-Type-Options"] == "nosniff"
    assert short["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"
