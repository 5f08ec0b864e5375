"""Talking to the bot without a network: an update comes in, what the bot says is looked at."""

from __future__ import annotations

import itertools
import json
from typing import Any

from django.utils import timezone

from advertmarket.telegram import inbox
from advertmarket.telegram.models import OutgoingMessage, Update

_update_ids = itertools.count(1)


class BotChat:
    """A person's private chat with the bot."""

    def __init__(self, user_id: int, first_name: str = "Ann", language_code: str = "en") -> None:
        self.user_id = user_id
        self._person = {
            "id": user_id,
            "is_bot": False,
            "first_name": first_name,
            "language_code": language_code,
        }
        self._chat = {"id": user_id, "type": "private", "first_name": first_name}

    def write(self, text: str) -> list[OutgoingMessage]:
        """Send a text and return what the bot says to it."""
        return self.receive("message", {"message_id": 1, "date": 0, "text": text})

    def press(self, data: str) -> list[OutgoingMessage]:
        """Press a button with this callback data and return what the bot says to it."""
        query = {"id": "1", "data": data, "from": self._person}
        return self._receive(
            {"callback_query": {**query, "message": {"message_id": 1, "chat": self._chat}}}
        )

    def receive(self, kind: str, body: dict[str, Any]) -> list[OutgoingMessage]:
        """Have an update of another kind come from this chat."""
        return self._receive({kind: {"from": self._person, "chat": self._chat, **body}})

    def _receive(self, update: dict[str, Any]) -> list[OutgoingMessage]:
        before = set(OutgoingMessage.objects.values_list("id", flat=True))
        update_id = next(_update_ids)
        inbox.store(json.dumps({"update_id": update_id, **update}).encode(), at=timezone.now())
        while inbox.handle_next(at=timezone.now()):
            pass
        handled = Update.objects.get(id=update_id)
        assert handled.state == "DONE", handled.error
        said = OutgoingMessage.objects.filter(chat_id=self.user_id).exclude(id__in=before)
        return list(said.order_by("id"))
