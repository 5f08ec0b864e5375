"""From nothing to everything that runs, with an operator: how the demo and the drills begin."""

from __future__ import annotations

import secrets

from sandbox.telegram.control import Telegram

from .stack import VERIFIER_CHAT_OWNER, Stack

OPERATOR = "operator"
COMPRESSED = {
    "RETENTION_S": "8",
    "TON_READER_POLL_S": "0.2",
    "TON_API_RPS": "100",
    "SHUTDOWN_DRAIN_S": "0.1",
}
"""A day of retention in eight seconds: settings, and the same code."""


def start(stack: Stack) -> str:
    """Start everything, install, and return the password of the operator made."""
    print("starting PostgreSQL, Redis, Kafka, a local TON chain and a local Telegram…", flush=True)
    stack.start_services()
    with Telegram(stack.telegram_url) as telegram:
        telegram.create_user(VERIFIER_CHAT_OWNER, "Operations", started=True)
        verifier = telegram.create_channel("verifier", creator_id=VERIFIER_CHAT_OWNER)
        telegram.add_bot(verifier, by=VERIFIER_CHAT_OWNER)
    stack.settings["TELEGRAM_VERIFIER_CHAT_ID"] = str(verifier)
    print("migrating, creating topics…", flush=True)
    password = secrets.token_urlsafe(12)
    stack.install(OPERATOR, password)
    print("starting web, worker, signer, beat, consumer, chain reader, watch…", flush=True)
    stack.start_product()
    stack.manage("register_webhook")
    return password
