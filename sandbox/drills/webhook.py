"""2: Telegram brings its updates with a secret that is not ours."""

from __future__ import annotations

import secrets

import httpx

from .room import Room
from .script import Missing


def drill(room: Room) -> None:
    """Telegram is told a wrong secret; it is registered again, and an update arrives."""
    eyes, script, market = room.eyes, room.script, room.market
    env = room.stack.env
    script.cause("the webhook is registered with another secret than the .env has")
    httpx.post(
        f"{room.stack.telegram_url}/bot{env['TELEGRAM_BOT_TOKEN']}/setWebhook",
        json={
            "url": f"{env['PUBLIC_URL']}/api/v1/bot/webhook",
            "secret_token": secrets.token_urlsafe(32),
        },
    ).raise_for_status()
    market.telegram.start(market.anna.user_id)
    eyes.down("telegram", "updates wait", "403")
    eyes.metric("telegram_webhook_calls_total", lambda value: value > 0, status="403")
    printed = room.operators.look("preflight", "webhook")
    if "Telegram cannot reach it" not in " ".join(printed.split()):
        raise Missing(f"preflight does not find the webhook: {printed}")
    script.symptom("preflight", "")
    script.says(printed)
    eyes.metric("telegram_webhook_pending", lambda value: value > 0, within_s=70)
    eyes.alert("WebhookUnreachable")
    eyes.incident_later("webhook_silent", after_s=120)
    room.operators.plain("register_webhook")
    _an_update_arrives(room)
    eyes.quiet("WebhookFails")


def _an_update_arrives(room: Room) -> None:
    market = room.market
    before = room.sql("SELECT coalesce(max(id), 0) FROM telegram_updates")[0][0]
    said = len(market.telegram.messages(market.oleg.user_id))
    market.telegram.start(market.oleg.user_id)
    market.until(
        lambda: True if len(market.telegram.messages(market.oleg.user_id)) > said + 1 else None,
        "the bot's answer to /start",
    )
    after = room.sql("SELECT max(id) FROM telegram_updates")[0][0]
    if after <= before:
        raise Missing("no update was received")
    room.script.proof(f"update {after} was received, and the bot has answered it")
