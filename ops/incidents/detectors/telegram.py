"""Telegram, asked by the watch itself: does it take our token, does it bring its updates?"""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from advertmarket.telegram.client import bot
from advertmarket.telegram.errors import TelegramError, Unauthorized
from ops.health.checks import webhook_problem
from ops.incidents.causes import Cause

from . import Untold, detector


@detector(every_s=60)
def telegram_takes_the_token() -> Iterator[Cause]:
    """A getMe is refused, or not answered."""
    try:
        bot().get_me()
    except Unauthorized as error:
        yield Cause("telegram_refused", facts={"error": str(error)})
    except TelegramError as error:
        yield Cause("telegram_away", facts={"error": str(error)})


@detector(every_s=60)
def updates_arrive() -> Iterator[Cause]:
    """Updates pile up at Telegram, or it failed to bring one a moment ago, or has no address."""
    try:
        info = bot().get_webhook_info()
    except TelegramError as error:
        raise Untold from error
    if problem := webhook_problem(info, at=timezone.now()):
        told = info.last_error if info.url else problem
        yield Cause("webhook_silent", facts={"pending": info.pending, "error": told or "—"})
