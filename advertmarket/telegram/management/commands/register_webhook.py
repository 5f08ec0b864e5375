"""`manage.py register_webhook`: tell Telegram where updates go, and what the bot can do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from django.utils import translation

from advertmarket.telegram.client import ALLOWED_UPDATES, bot
from advertmarket.telegram.dispatcher import commands, special_chats
from advertmarket.telegram.errors import BadRequest, TelegramError


class Command(BaseCommand):
    """Safe to run again: after each deploy, and after the secret has changed."""

    help = "Set the webhook at PUBLIC_URL, its secret, the kinds of updates, and the commands."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Register, then ask Telegram what it knows."""
        if not (settings.TELEGRAM_BOT_TOKEN and settings.TELEGRAM_WEBHOOK_SECRET):
            raise CommandError("TELEGRAM_BOT_TOKEN and TELEGRAM_WEBHOOK_SECRET are needed")
        url = settings.PUBLIC_URL + reverse("telegram-webhook")
        try:
            bot().set_webhook(url, secret=settings.TELEGRAM_WEBHOOK_SECRET)
            for language, shown_to in (("en", ""), ("ru", "ru")):
                with translation.override(language):
                    bot().set_commands(commands(), language=shown_to)
            self._show_special_commands()
            info = bot().get_webhook_info()
        except TelegramError as error:
            raise CommandError(f"Telegram: {error}") from error
        self.stdout.write(
            f"webhook {info.url}, updates {', '.join(ALLOWED_UPDATES)}, {info.pending} pending, "
            f"last error: {info.last_error or 'none'}"
        )

    def _show_special_commands(self) -> None:
        for chat_id, language in special_chats().items():
            try:
                with translation.override(language):
                    bot().set_commands(commands(chat_id), chat_id=chat_id)
            except BadRequest as refusal:  # who never wrote to the bot has no chat with it
                self.stdout.write(f"chat {chat_id} does not show its own commands: {refusal}")
