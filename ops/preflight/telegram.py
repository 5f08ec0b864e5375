"""The bot: that it is ours, that its updates arrive, and that it can compare posts."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from advertmarket.telegram.client import bot
from advertmarket.telegram.errors import TelegramError

from .verdicts import Failed, Skipped

_RECENT = dt.timedelta(minutes=10)
_ADMINISTRATORS = ("administrator", "creator")


def look_at_bot() -> str:
    """The token is the bot's whose name our links carry."""
    _need_token()
    _id, username = bot().get_me()
    if username != settings.TELEGRAM_BOT_USERNAME:
        raise Failed(f"the token is @{username}'s", f"TELEGRAM_BOT_USERNAME={username}")
    return f"@{username}"


def look_at_webhook() -> str:
    """Updates go to our door, and go through it."""
    _need_token()
    try:
        info = bot().get_webhook_info()
    except TelegramError as away:
        raise Skipped(f"Telegram does not tell: {away}") from away
    ours = settings.PUBLIC_URL + reverse("telegram-webhook")
    if info.url != ours:
        raise Failed(f"it is {info.url or 'not registered'}, and ours is {ours}", "")
    if info.last_error_at is not None and timezone.now() - info.last_error_at < _RECENT:
        raise Failed(f"Telegram cannot reach it: {info.last_error}", "TLS, nginx, the secret")
    return f"{ours}, {info.pending} pending"


def look_at_verifier() -> str:
    """The bot administers the channel where posts are compared."""
    _need_token()
    if not settings.TELEGRAM_VERIFIER_CHAT_ID:
        raise Skipped(f"the role {settings.PROCESS_ROLE} does not know TELEGRAM_VERIFIER_CHAT_ID")
    try:
        me, _username = bot().get_me()
    except TelegramError as away:
        raise Skipped(f"Telegram does not tell: {away}") from away
    member = bot().get_chat_member(settings.TELEGRAM_VERIFIER_CHAT_ID, me)
    if member.status not in _ADMINISTRATORS:
        raise Failed(f"the bot is {member.status} there", "")
    return f"{settings.TELEGRAM_VERIFIER_CHAT_ID}, the bot administers it"


def _need_token() -> None:
    if not settings.TELEGRAM_BOT_TOKEN:
        raise Skipped(f"the role {settings.PROCESS_ROLE} does not know TELEGRAM_BOT_TOKEN")
