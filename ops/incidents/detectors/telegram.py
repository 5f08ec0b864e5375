"""Telegram, asked by the watch itself: does it take our token, does it bring its updates?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.utils import timezone

from advertmarket.telegram.client import bot
from advertmarket.telegram.errors import TelegramError, Unauthorized
from ops.incidents.causes import Cause

from . import Untold, detector

FRESH = dt.timedelta(minutes=5)
"""Telegram tries again within a minute; after five an error is over."""

TOO_MANY_PENDING = 100
"""Telegram brings 40 at a time, and each is answered in milliseconds."""


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
    failed_at = info.last_error_at
    fails = info.pending > 0 and failed_at is not None and timezone.now() - failed_at < FRESH
    if not info.url or fails or info.pending >= TOO_MANY_PENDING:
        problem = info.last_error if info.url else "no webhook is registered"
        yield Cause("webhook_silent", facts={"pending": info.pending, "error": problem or "—"})
