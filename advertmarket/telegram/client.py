"""The Bot API: the only module that knows python-telegram-bot.

`bot()` gives synchronous methods over one event loop in a thread of this process. Every call is
bounded in time, keeps Telegram's limits, and raises a `TelegramError` of `errors.py`. No call is
ever repeated here: whoever calls knows what a second attempt would do. Never call it inside a
database transaction.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import httpx
import telegram
from django.conf import settings
from telegram.error import TelegramError as LibraryError
from telegram.request import HTTPXRequest

from . import errors, limits
from .content import Button, Chat, Entity, Media, Member, Message, ParseMode, Rows, WebhookInfo
from .metrics import CALLS, DURATION_S, TOKEN_REFUSED

logger = logging.getLogger(__name__)

T = TypeVar("T")
ChatId = int | str

ALLOWED_UPDATES: Final = (
    "message",
    "callback_query",
    "my_chat_member",
    "chat_member",
    "channel_post",
    "edited_channel_post",
)

_making = threading.Lock()
_CONNECT_TIMEOUT_S = 5
_ANSWER_TIMEOUT_S = 15
_CALL_TIMEOUT_S = 30
_CONNECTIONS = 32
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Bot:
    """One per process, by `bot()`; safe to use from several threads."""

    def __init__(self, token: str, api_url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="telegram", daemon=True)
        self._thread.start()
        self._request = _Request()
        self._api = telegram.Bot(
            token,
            base_url=f"{api_url}/bot",
            request=self._request,
            get_updates_request=self._request,
        )

    def close(self) -> None:
        """Close the connections and end the thread."""
        self._run(self._request.shutdown())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- sending; chat ids are Telegram's, or "@name" of a public channel

    def send_message(
        self,
        chat_id: ChatId,
        text: str,
        *,
        parse_mode: ParseMode | None = "HTML",
        buttons: Rows = (),
        link_preview: bool = True,
        silent: bool = False,
    ) -> Message:
        """Send a text of up to 4,096 characters after entities; `silent`: without a sound."""
        return self._send(
            chat_id,
            self._api.send_message(
                chat_id,
                text,
                parse_mode=parse_mode,
                reply_markup=_markup(buttons),
                link_preview_options=telegram.LinkPreviewOptions(is_disabled=not link_preview),
                disable_notification=silent,
            ),
        )

    def send_media(
        self,
        chat_id: ChatId,
        media: Media,
        caption: str = "",
        *,
        parse_mode: ParseMode | None = "HTML",
        buttons: Rows = (),
    ) -> Message:
        """Send one photo, video, GIF or document with a caption of up to 1,024 characters."""
        senders: dict[str, Callable[..., Coroutine[Any, Any, telegram.Message]]] = {
            "PHOTO": self._api.send_photo,
            "VIDEO": self._api.send_video,
            "GIF": self._api.send_animation,
            "DOCUMENT": self._api.send_document,
        }
        return self._send(
            chat_id,
            senders[media.kind](
                chat_id,
                media.file_id,
                caption=caption,
                parse_mode=parse_mode,
                reply_markup=_markup(buttons),
            ),
        )

    def send_media_group(
        self,
        chat_id: ChatId,
        media: Sequence[Media],
        caption: str = "",
        *,
        parse_mode: ParseMode | None = "HTML",
    ) -> tuple[Message, ...]:
        """Send an album of 2 to 10 (no GIFs; documents only among themselves, no buttons)."""
        album = [_album_item(item) for item in media]
        sent = self._limited(
            chat_id,
            self._api.send_media_group(chat_id, album, caption=caption, parse_mode=parse_mode),
        )
        return tuple(_message(message) for message in sent)

    def forward_message(
        self,
        chat_id: ChatId,
        from_chat_id: ChatId,
        message_id: int,
        *,
        silent: bool = True,
        max_wait_s: float = limits.MAX_WAIT_S,
    ) -> Message:
        """Forward a message of `from_chat_id` to `chat_id` and return what arrived there.

        It waits up to `max_wait_s` for its turn.
        """
        call = self._api.forward_message(
            chat_id, from_chat_id, message_id, disable_notification=silent
        )
        return _message(self._limited(chat_id, call, max_wait_s=max_wait_s))

    def edit_reply_markup(self, chat_id: ChatId, message_id: int, buttons: Rows = ()) -> None:
        """Set the buttons under a message of the bot's.

        Raises:
            BadRequest: among others, "message is not modified": they are these already.
        """
        self._limited(
            chat_id,
            self._api.edit_message_reply_markup(chat_id, message_id, reply_markup=_markup(buttons)),
        )

    def delete_message(self, chat_id: ChatId, message_id: int) -> None:
        """Delete a message younger than 48 hours."""
        self._call(self._api.delete_message(chat_id, message_id))

    # -- asking

    def get_chat(self, chat_id: ChatId) -> Chat:
        """Return a chat; of a public one, "@name" will do."""
        chat = self._call(self._api.get_chat(chat_id))
        return Chat(
            id=chat.id,
            type=str(chat.type),
            title=chat.title or chat.full_name or "",
            username=chat.username or "",
            description=chat.description or "",
            is_protected=bool(chat.has_protected_content),
            pinned_message_id=chat.pinned_message.message_id if chat.pinned_message else None,
        )

    def get_chat_member(self, chat_id: ChatId, user_id: int) -> Member:
        """Return someone's place in a chat; sure only where the bot is administrator."""
        return _member(self._call(self._api.get_chat_member(chat_id, user_id)))

    def get_chat_administrators(self, chat_id: ChatId) -> tuple[Member, ...]:
        """Return who runs a chat, other bots left out; where the bot is an administrator."""
        return tuple(map(_member, self._call(self._api.get_chat_administrators(chat_id))))

    def get_chat_member_count(self, chat_id: ChatId) -> int:
        """Return how many subscribers a channel has."""
        return self._call(self._api.get_chat_member_count(chat_id))

    def get_me(self) -> tuple[int, str]:
        """Return the bot's id and username."""
        me = self._call(self._api.get_me())
        return me.id, me.username or ""

    def get_webhook_info(self) -> WebhookInfo:
        """Return how the webhook does."""
        info = self._call(self._api.get_webhook_info())
        return WebhookInfo(
            url=info.url,
            pending=info.pending_update_count,
            last_error_at=info.last_error_date,
            last_error=info.last_error_message or "",
        )

    # -- answering and setting up

    def answer_callback(self, callback_id: str, text: str = "") -> None:
        """End the waiting of whoever pressed a button."""
        self._call(self._api.answer_callback_query(callback_id, text))

    def set_webhook(self, url: str, *, secret: str) -> None:
        """Have updates of `ALLOWED_UPDATES` sent to `url` with `secret` in their header."""
        self._call(self._api.set_webhook(url, allowed_updates=ALLOWED_UPDATES, secret_token=secret))

    def set_commands(
        self, commands: Mapping[str, str], *, language: str = "", chat_id: int | None = None
    ) -> None:
        """Show these commands and descriptions: to all, to who uses `language`, or in one chat."""
        scope = None if chat_id is None else telegram.BotCommandScopeChat(chat_id)
        self._call(
            self._api.set_my_commands(list(commands.items()), scope=scope, language_code=language)
        )

    # -- how a call is made

    def _send(self, chat_id: ChatId, call: Coroutine[Any, Any, telegram.Message]) -> Message:
        return _message(self._limited(chat_id, call))

    def _limited(
        self,
        chat_id: ChatId,
        call: Coroutine[Any, Any, T],
        *,
        max_wait_s: float = limits.MAX_WAIT_S,
    ) -> T:
        try:
            limits.wait_for_turn(chat_id, max_wait_s=max_wait_s)
        except errors.TooManyRequests:
            call.close()
            raise
        try:
            return self._call(call)
        except errors.TooManyRequests as refusal:
            limits.pause(chat_id, refusal.retry_after_s)
            raise

    def _call(self, call: Coroutine[Any, Any, T]) -> T:
        method = getattr(call, "__name__", "")
        try:
            limits.check_not_stopped()
        except errors.Unauthorized:
            call.close()
            raise
        try:
            with DURATION_S.labels(method).time():
                result = self._run(call)
        except errors.TelegramError as error:
            CALLS.labels(method, type(error).__name__).inc()
            if isinstance(error, errors.Unauthorized):
                limits.stop_all()
                TOKEN_REFUSED.set(1)
                logger.critical("Telegram refuses the bot's token; all sending has stopped")
            raise
        CALLS.labels(method, "ok").inc()
        TOKEN_REFUSED.set(0)
        return result

    def _run(self, call: Coroutine[Any, Any, T]) -> T:
        bounded = asyncio.wait_for(call, _CALL_TIMEOUT_S)
        try:
            return asyncio.run_coroutine_threadsafe(bounded, self._loop).result()
        except _Refused as refusal:
            raise refusal.error from None
        except (LibraryError, TimeoutError) as error:
            unsent = isinstance(error.__cause__, _UNSENT)
            kind = errors.TelegramNotReached if unsent else errors.TelegramAway
            raise kind(str(error) or "no answer in time", code=0) from error


def bot() -> Bot:
    """Return this process's bot."""
    with _making:
        return _make_bot()


@functools.cache
def _make_bot() -> Bot:
    return Bot(settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_API_URL)


class _Refused(LibraryError):
    """Carries our own error through the library, which would rewrite code and description."""

    def __init__(self, error: errors.TelegramError) -> None:
        super().__init__(error.description)
        self.error = error


class _Request(HTTPXRequest):
    """Reads refusals itself: the library changes the case of descriptions and drops codes."""

    def __init__(self) -> None:
        super().__init__(
            connection_pool_size=_CONNECTIONS,
            connect_timeout=_CONNECT_TIMEOUT_S,
            read_timeout=_ANSWER_TIMEOUT_S,
            write_timeout=_ANSWER_TIMEOUT_S,
            pool_timeout=_CONNECT_TIMEOUT_S,
            httpx_kwargs={"trust_env": False},
        )

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        code, payload = await super().do_request(*args, **kwargs)
        if code >= 400:
            raise _Refused(_refusal(code, payload))
        return code, payload


def _refusal(code: int, payload: bytes) -> errors.TelegramError:
    try:
        body = json.loads(payload)
        description = str(body["description"])
        retry_after_s = float(body.get("parameters", {}).get("retry_after", 1))
    except (ValueError, KeyError, TypeError, AttributeError):
        description, retry_after_s = f"HTTP {code}", 1.0
    if code == 429:
        return errors.TooManyRequests(description, code=code, retry_after_s=retry_after_s)
    if code >= 500:
        return errors.TelegramAway(description, code=code)
    if code in {401, 404}:  # a malformed token is "Not Found"
        return errors.Unauthorized(description, code=code, retry_after_s=limits.PROBE_EVERY_S)
    kind = errors.Forbidden if code == 403 else errors.BadRequest
    return kind(description, code=code)


def _markup(rows: Rows) -> telegram.InlineKeyboardMarkup | None:
    if not rows:
        return None
    return telegram.InlineKeyboardMarkup([[_library_button(b) for b in row] for row in rows])


def _library_button(button: Button) -> telegram.InlineKeyboardButton:
    return telegram.InlineKeyboardButton(
        button.label, url=button.url or None, callback_data=button.callback_data or None
    )


def _album_item(
    media: Media,
) -> telegram.InputMediaPhoto | telegram.InputMediaVideo | telegram.InputMediaDocument:
    if media.kind == "PHOTO":
        return telegram.InputMediaPhoto(media.file_id)
    if media.kind == "VIDEO":
        return telegram.InputMediaVideo(media.file_id)
    if media.kind == "DOCUMENT":
        return telegram.InputMediaDocument(media.file_id)
    raise ValueError(f"{media.kind} cannot be part of an album")


def _message(message: telegram.Message) -> Message:
    entities = message.caption_entities if message.caption else message.entities
    return Message(
        message_id=message.message_id,
        chat_id=message.chat.id,
        text=message.text or message.caption or "",
        entities=tuple(Entity(str(e.type), e.offset, e.length, e.url or "") for e in entities),
        media=tuple(_media(message)),
        buttons=tuple(_buttons(message)),
        date=message.date,
    )


def _media(message: telegram.Message) -> list[Media]:
    if message.photo:
        largest = message.photo[-1]
        return [Media("PHOTO", largest.file_id, largest.file_unique_id)]
    if message.video:
        return [Media("VIDEO", message.video.file_id, message.video.file_unique_id)]
    if message.animation:  # comes with a `document` for old clients
        return [Media("GIF", message.animation.file_id, message.animation.file_unique_id)]
    if message.document:
        return [Media("DOCUMENT", message.document.file_id, message.document.file_unique_id)]
    return []


def _buttons(message: telegram.Message) -> list[Button]:
    rows = message.reply_markup.inline_keyboard if message.reply_markup else ()
    return [
        Button(b.text, b.url or "", b.callback_data if isinstance(b.callback_data, str) else "")
        for row in rows
        for b in row
    ]


def _member(member: telegram.ChatMember) -> Member:
    fields = member.to_dict(recursive=False)
    return Member(
        user_id=member.user.id,
        status=str(member.status),
        rights=frozenset(
            name for name, value in fields.items() if name.startswith("can_") and value is True
        ),
    )
