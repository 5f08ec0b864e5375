"""What channels learn from Telegram's updates."""

from __future__ import annotations

from datetime import datetime

from advertmarket.telegram.dispatcher import on
from advertmarket.telegram.incoming import Incoming

from . import services


@on("channel_post")
def note_message(update: Incoming, *, at: datetime) -> None:
    """Remember the newest message id of the channel."""
    if update.message_id is not None:
        services.note_message(channel_id=update.chat_id, message_id=update.message_id)
