"""What delivery asks of the Bot API. Everything here uses the network.

Telegram shows a bot no message of a channel again, but it lets it forward one. The verifier chat is
where such forwards go, and where a draft is rehearsed; what is looked at there is deleted again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.conf import settings

from advertmarket.db import release_connection
from advertmarket.telegram.client import bot
from advertmarket.telegram.content import Button, Message, Rows
from advertmarket.telegram.errors import BadRequest, Forbidden, TelegramError
from channels.ownership import CannotAskTelegram, bot_in

from .content import Content, Parts
from .draft import CreativeInvalid, Draft, Part

logger = logging.getLogger(__name__)

_PATIENCE_S = 10.0
"""How long a look waits for its turn in the verifier chat: an album takes several in a row."""


def send(part: Part, chat_id: int) -> tuple[Message, ...]:
    """Post a part of an ad; return the messages that it became.

    Raises:
        TelegramError: as the client; `took_effect` tells whether it may be there all the same.
    """
    release_connection()
    if not part.media:
        return (
            bot().send_message(
                chat_id,
                part.text,
                parse_mode=part.parse_mode,
                buttons=part.buttons,
                link_preview=part.link_preview,
            ),
        )
    if len(part.media) == 1:
        return (
            bot().send_media(
                chat_id,
                part.media[0],
                part.text,
                parse_mode=part.parse_mode,
                buttons=part.buttons,
            ),
        )
    return bot().send_media_group(chat_id, part.media, part.text, parse_mode=part.parse_mode)


def rehearse(draft: Draft) -> Parts:
    """Post the draft to the verifier chat and return what Telegram made of it.

    Raises:
        CreativeInvalid: Telegram refuses it, and says why.
        CannotAskTelegram: no answer now.
    """
    shown: list[Message] = []
    parts = []
    try:
        for part in draft.parts:
            messages = send(part, settings.TELEGRAM_VERIFIER_CHAT_ID)
            shown.extend(messages)
            parts.append(tuple(Content.of(message) for message in messages))
    except BadRequest as refusal:
        if "chat not found" in refusal.description:
            logger.critical("the verifier chat is not there: %s", refusal)
            raise CannotAskTelegram from refusal
        raise CreativeInvalid(refusal.description) from refusal
    except TelegramError as away:
        raise CannotAskTelegram from away
    finally:
        _tidy(message.message_id for message in shown)
    return tuple(parts)


def look_at(channel_id: int, message_id: int) -> Content:
    """Return the content of a channel's message, as it is now.

    Raises:
        TelegramError: the message cannot be forwarded; or nobody answers.
    """
    release_connection()
    copy = bot().forward_message(
        settings.TELEGRAM_VERIFIER_CHAT_ID, channel_id, message_id, max_wait_s=_PATIENCE_S
    )
    _tidy([copy.message_id])
    return Content.of(copy)


def set_buttons_again(channel_id: int, message_id: int, content: Content) -> None:
    """Set the approved buttons under a post of ours.

    Raises:
        BadRequest: "message is not modified": it is there with these buttons.
        TelegramError: anything else. No error: the buttons had been changed.
    """
    bot().edit_reply_markup(channel_id, message_id, rows_of(content))


def bot_is_admin(channel_id: int) -> bool | None:
    """Return whether the bot is administrator of the channel; None if Telegram does not say."""
    try:
        return bot_in(channel_id).is_administrator
    except (BadRequest, Forbidden):
        return False
    except TelegramError:
        return None


def has_username(channel_id: int) -> bool:
    """Return whether the channel is public: anybody finds it by its name.

    Raises:
        TelegramError: as the client.
    """
    return bool(bot().get_chat(channel_id).username)


def rows_of(content: Content) -> Rows:
    """Return the buttons as they are posted: one in each row."""
    return tuple((Button(label, url=url),) for label, url in content.buttons)


def _tidy(message_ids: Iterable[int]) -> None:
    for message_id in message_ids:
        try:
            bot().delete_message(settings.TELEGRAM_VERIFIER_CHAT_ID, message_id)
        except TelegramError as error:
            logger.warning("message %s stays in the verifier chat: %s", message_id, error)
