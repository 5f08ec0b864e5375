"""Alerts in Telegram: asked of the Bot API by the watch itself, past every queue."""

from __future__ import annotations

import datetime as dt

from advertmarket.telegram.client import bot
from advertmarket.telegram.content import Button, Rows
from advertmarket.telegram.errors import TelegramError

from . import NotDelivered

ACKNOWLEDGE = "acknowledge_incident"
"""The action of the button; `bot.py` handles it."""


def deliver(chat_id: int, html: str, *, buttons: Rows, silent: bool) -> None:
    """Send it to a person's chat with the bot.

    Raises:
        NotDelivered: Telegram does not take it, or does not answer.
    """
    try:
        bot().send_message(chat_id, html, buttons=buttons, link_preview=False, silent=silent)
    except TelegramError as error:
        retry_after = dt.timedelta(seconds=error.retry_after_s) if error.retry_after_s else None
        raise NotDelivered(
            str(error),
            permanent=error.permanent and retry_after is None,
            perhaps_sent=error.took_effect is None,
            retry_after=retry_after,
        ) from error


def acknowledge_button(incident_id: int, label: str) -> Rows:
    """Return the button under an alert."""
    return ((Button(label, callback_data=f"{ACKNOWLEDGE}:{incident_id}"),),)
