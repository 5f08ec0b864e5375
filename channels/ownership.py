"""Proof, asked of Telegram, that a person answers for a channel and that the bot can work there.

Everything here uses the network: never call it inside a database transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from advertmarket.db import release_connection
from advertmarket.errors import Code, DomainError
from advertmarket.telegram.client import bot
from advertmarket.telegram.content import Chat, Member
from advertmarket.telegram.errors import BadRequest, Forbidden, TelegramError

MAY_POST, MAY_EDIT = "can_post_messages", "can_edit_messages"


class ChannelInaccessible(DomainError):
    """Telegram does not show the bot such a channel."""

    code: ClassVar[Code] = Code.CHANNEL_INACCESSIBLE
    message = _("Telegram shows the bot no such channel; add the bot as an administrator first.")


class NotAChannel(DomainError):
    """It is a group or a person."""

    code: ClassVar[Code] = Code.CHANNEL_INACCESSIBLE
    message = _("This is not a channel.")


class ContentProtected(DomainError):
    """Posts of this channel cannot be forwarded, so an ad could not be verified."""

    code: ClassVar[Code] = Code.CHANNEL_INACCESSIBLE
    message = _("Switch off “Restrict saving content” in the channel: ads could not be verified.")


class BotNotAdmin(DomainError):
    """The bot is not an administrator of the channel."""

    code: ClassVar[Code] = Code.CHANNEL_BOT_NOT_ADMIN
    message = _("Make the bot an administrator of the channel.")


class BotLacksRights(DomainError):
    """The bot may not post or edit there."""

    code: ClassVar[Code] = Code.CHANNEL_BOT_INSUFFICIENT_RIGHTS
    message = _("Let the bot post and edit messages in the channel.")


class UserNotAdmin(DomainError):
    """The person is neither the creator nor an administrator who may post."""

    code: ClassVar[Code] = Code.CHANNEL_USER_NOT_ADMIN
    message = _("You are neither the creator of this channel nor an administrator who may post.")


class CannotAskTelegram(DomainError):
    """Telegram gives no answer now."""

    code: ClassVar[Code] = Code.SERVICE_UNAVAILABLE
    message = _("Telegram does not answer now; try again.")
    retry_after_s = 5


@dataclass(frozen=True)
class OwnershipProof:
    """What Telegram said of a channel and of the person `user_id` in it, at `proved_at`.

    `creator_id` is None where Telegram names no creator.
    """

    channel_id: int
    user_id: int
    title: str
    username: str
    description: str
    subscribers: int
    creator_id: int | None
    proved_at: datetime


def prove(chat: int | str, *, user_id: int, at: datetime) -> OwnershipProof:
    """Ask Telegram about a channel, by id or "@name", and about the person and the bot in it.

    Raises:
        ChannelInaccessible, NotAChannel, ContentProtected: such a channel cannot be used.
        BotNotAdmin, BotLacksRights: the bot needs the rights to post and to edit.
        UserNotAdmin: the person is neither creator nor an administrator with the right to post.
        CannotAskTelegram: no answer now.
    """
    try:
        return _prove(chat, user_id=user_id, at=at)
    except (BadRequest, Forbidden) as refusal:
        raise ChannelInaccessible from refusal
    except TelegramError as away:
        raise CannotAskTelegram from away


def _prove(chat: int | str, *, user_id: int, at: datetime) -> OwnershipProof:
    release_connection()
    channel = bot().get_chat(chat)
    _check_channel(channel)
    _check_bot(bot_in(channel.id))
    person = bot().get_chat_member(channel.id, user_id)
    if not (person.is_administrator and person.may(MAY_POST)):
        raise UserNotAdmin
    return OwnershipProof(
        channel_id=channel.id,
        user_id=user_id,
        title=channel.title,
        username=channel.username,
        description=channel.description,
        subscribers=bot().get_chat_member_count(channel.id),
        creator_id=_creator(person, channel.id),
        proved_at=at,
    )


def _creator(person: Member, channel_id: int) -> int | None:
    if person.status == "creator":
        return person.user_id
    administrators = bot().get_chat_administrators(channel_id)
    return next((one.user_id for one in administrators if one.status == "creator"), None)


def bot_in(channel_id: int) -> Member:
    """Return the bot's own place in a channel.

    Raises:
        TelegramError: as the client.
    """
    bot_id, _username = bot().get_me()
    return bot().get_chat_member(channel_id, bot_id)


def _check_channel(chat: Chat) -> None:
    if chat.type != "channel":
        raise NotAChannel
    if chat.is_protected:
        raise ContentProtected


def _check_bot(member: Member) -> None:
    if not member.is_administrator:
        raise BotNotAdmin
    if not (member.may(MAY_POST) and member.may(MAY_EDIT)):
        raise BotLacksRights
