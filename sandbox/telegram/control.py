"""A typed client of the control plane: `Telegram("http://127.0.0.1:PORT")` plays the people."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

from sandbox.telegram.model import Json


class Refused(Exception):
    """The control plane could not do it; the text says why."""


@dataclass(frozen=True)
class Press:
    """What a press of a button led to.

    `answer` is what the bot said with answerCallbackQuery (`text`, `show_alert`, `url`), None if it
    said nothing in time or was not asked; `button` is the button as Telegram keeps it.
    """

    button: Json
    query_id: str | None
    answer: Json | None


class Telegram:
    """The people of the local Telegram; ids are Telegram's, messages are Bot API objects."""

    def __init__(self, url: str) -> None:
        """Talk to the stand-in at this address."""
        self.url = url.rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=90, trust_env=False)

    def __enter__(self) -> Telegram:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # -- people and chats

    def create_user(
        self,
        user_id: int,
        first_name: str,
        *,
        username: str = "",
        language_code: str = "",
        last_name: str = "",
        started: bool = False,
    ) -> Json:
        """Add a user; `started`: as if they had pressed Start (the bot is sent nothing)."""
        return self._object(
            "user",
            user_id=user_id,
            first_name=first_name,
            last_name=last_name,
            username=username,
            language_code=language_code,
            started=started,
        )

    def create_channel(
        self,
        title: str,
        *,
        creator_id: int,
        username: str = "",
        description: str = "",
        protected: bool = False,
        subscribers: int = 0,
        group: bool = False,
    ) -> int:
        """Add a channel (or supergroup) and return its chat id."""
        chat: Json = self._do(
            "channel",
            title=title,
            creator_id=creator_id,
            username=username,
            description=description,
            protected=protected,
            subscribers=subscribers,
            group=group,
        )
        return int(chat["id"])

    def change_channel(self, chat_id: int, **fields: Any) -> Json:
        """Change title, username, description, protected or subscribers."""
        return self._object("change_channel", chat_id=chat_id, **fields)

    def add_bot(self, chat_id: int, *, by: int = 0, **rights: bool) -> Json:
        """Make the bot an administrator that may post and edit, unless `rights` say otherwise."""
        return self._object("member", chat_id=chat_id, status="administrator", by=by, rights=rights)

    def remove_bot(self, chat_id: int, *, by: int = 0, kicked: bool = False) -> Json:
        """Take the bot out of the chat; `kicked`: it is also banned."""
        return self._object("member", chat_id=chat_id, status="kicked" if kicked else "left", by=by)

    def set_member(
        self, chat_id: int, user_id: int, status: str, *, by: int = 0, **rights: bool
    ) -> Json:
        """Make someone creator, administrator (with `rights`), member, left or kicked."""
        return self._object(
            "member", chat_id=chat_id, user_id=user_id, status=status, by=by, rights=rights
        )

    def block(self, user_id: int) -> None:
        """The user stops the bot."""
        self._do("block", user_id=user_id, blocked=True)

    def unblock(self, user_id: int) -> None:
        """The user starts the bot again."""
        self._do("block", user_id=user_id, blocked=False)

    def deactivate(self, user_id: int) -> None:
        """The user deletes their account."""
        self._do("deactivate", user_id=user_id)

    # -- what people do

    def send(
        self,
        user_id: int,
        text: str = "",
        *,
        chat_id: int = 0,
        media: str = "",
        html: bool = False,
    ) -> Json:
        """A user writes to the bot, or (with `chat_id`) posts to a group or channel.

        `media` is photo, video, animation or document, then `text` is its caption.
        """
        return self._object(
            "send", user_id=user_id, text=text, chat_id=chat_id, media=media, html=html
        )

    def start(self, user_id: int, payload: str = "") -> Json:
        """A user presses Start, or follows a deep link with this payload."""
        return self.send(user_id, f"/start {payload}".strip())

    def press(
        self, user_id: int, message_id: int, button: str, *, chat_id: int = 0, wait_s: float = 10
    ) -> Press:
        """A user presses the button with this label (or callback data) and waits for the answer."""
        result: Json = self._do(
            "press",
            user_id=user_id,
            message_id=message_id,
            button=button,
            chat_id=chat_id,
            wait_s=wait_s,
        )
        return Press(**result)

    def edit_post(
        self,
        chat_id: int,
        message_id: int,
        *,
        text: str | None = None,
        html: bool = False,
        buttons: list[list[Json]] | None = None,
        media: str = "",
    ) -> Json:
        """A person edits a post: its text or caption, its buttons, or puts a new file into it."""
        return self._object(
            "edit",
            chat_id=chat_id,
            message_id=message_id,
            text=text,
            html=html,
            buttons=buttons,
            media=media,
        )

    def delete_post(self, chat_id: int, message_id: int) -> None:
        """A person deletes a post; the bot is not told."""
        self._do("delete", chat_id=chat_id, message_id=message_id)

    def forward(self, user_id: int, from_chat_id: int, message_id: int, *, to: int = 0) -> Json:
        """A user forwards a message to the bot, or to another chat."""
        return self._object(
            "forward", user_id=user_id, chat_id=from_chat_id, message_id=message_id, to=to
        )

    def create_media(self, kind: str, *, content: bytes = b"", file_name: str = "") -> Json:
        """Register a file; return the part of a message that holds it (with its `file_id`s)."""
        encoded = base64.b64encode(content).decode()
        return self._object("media", kind=kind, content=encoded, file_name=file_name)

    def init_data(self, user_id: int, *, auth_date: int = 0, start_param: str = "") -> str:
        """Return signed Mini App initData of this user (now, or at this Unix time)."""
        return str(
            self._do("init_data", user_id=user_id, auth_date=auth_date, start_param=start_param)
        )

    # -- faults

    def fault(
        self,
        method: str = "*",
        *,
        times: int = 1,
        chat_id: int | str = "",
        code: int = 0,
        description: str = "",
        retry_after_s: int = 0,
        delay_ms: int = 0,
        executes: bool = False,
        lost: bool = False,
    ) -> None:
        """Let the next `times` calls of a method go wrong; see sandbox.telegram.faults.Fault.

        A lost answer: `executes=True, lost=True`. A time-out before anything happened:
        `delay_ms=…, lost=True`. A 429: `code=429, retry_after_s=…`.
        """
        self._do(
            "fault",
            method=method,
            times=times,
            chat_id=chat_id,
            code=code,
            description=description,
            retry_after_s=retry_after_s,
            delay_ms=delay_ms,
            executes=executes,
            lost=lost,
        )

    def clear_faults(self) -> None:
        """Call off every fault."""
        self._do("clear_faults")

    def enforce_limits(self, *, enforced: bool = True) -> None:
        """Answer 429 beyond Telegram's sending limits, or stop doing so."""
        self._do("limits", enforced=enforced)

    # -- looking

    def state(self) -> Json:
        """Return everything: bot, webhook, pending updates, users, chats with their messages."""
        return self._object("state")

    def messages(self, chat_id: int | str) -> list[Json]:
        """Return a chat's messages, oldest first, not deleted ones.

        `by_bot` marks the bot's, `silent` those that made no sound.
        """
        result: list[Json] = self._do("messages", chat_id=chat_id)
        return result

    def _object(self, action: str, **arguments: Any) -> Json:
        result: Json = self._do(action, **arguments)
        return result

    def _do(self, action: str, **arguments: Any) -> Any:
        answer = self._http.post(f"/sim/{action}", json=arguments).json()
        if not answer["ok"]:
            raise Refused(answer["description"])
        return answer["result"]
