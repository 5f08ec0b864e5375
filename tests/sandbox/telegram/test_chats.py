"""What the bot may learn of itself, of chats and of their members."""

from __future__ import annotations

import pytest
import telegram

from sandbox.telegram.control import Refused, Telegram
from tests.sandbox.telegram.conftest import ANNA, IVAN, OLEG, Stranger


def test_bot_knows_itself(stranger: Stranger, bot: telegram.Bot) -> None:
    me = stranger.run(bot.get_me())
    assert (me.id, me.is_bot, me.username) == (7000000001, True, "advertmarket_bot")


def test_channel_by_id_and_by_name(stranger: Stranger, bot: telegram.Bot, channel: int) -> None:
    for reference in (channel, "@news", "@NEWS"):
        chat = stranger.run(bot.get_chat(reference))
        assert (chat.id, chat.type, chat.title) == (channel, "channel", "News")
        assert not chat.has_protected_content
        assert chat.pinned_message is None


def test_private_chat_has_a_persons_names(stranger: Stranger, bot: telegram.Bot) -> None:
    chat = stranger.run(bot.get_chat(ANNA))
    assert (chat.type, chat.first_name, chat.username) == ("private", "Anna", "anna")


def test_protected_channel_says_so(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    people.change_channel(channel, protected=True, description="about")
    chat = stranger.run(bot.get_chat(channel))
    assert (chat.has_protected_content, chat.description) == (True, "about")


def test_private_channel_is_closed_to_outsiders(
    stranger: Stranger, bot: telegram.Bot, people: Telegram
) -> None:
    chat_id = people.create_channel("Secret", creator_id=OLEG)
    refused = stranger.refused(bot.get_chat(chat_id))
    assert refused == "Forbidden: Forbidden: bot is not a member of the channel chat"
    assert stranger.refused(bot.get_chat(-100)) == "BadRequest: Chat not found"


def test_members_with_their_rights(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    people.set_member(channel, ANNA, "administrator", can_post_messages=False)
    creator = stranger.run(bot.get_chat_member(channel, OLEG))
    admin = stranger.run(bot.get_chat_member(channel, ANNA))
    me = stranger.run(bot.get_chat_member(channel, bot.id))
    outsider = stranger.run(bot.get_chat_member(channel, IVAN))
    assert isinstance(creator, telegram.ChatMemberOwner)
    assert isinstance(admin, telegram.ChatMemberAdministrator)
    assert (admin.can_post_messages, admin.can_edit_messages) == (False, True)
    assert isinstance(me, telegram.ChatMemberAdministrator)
    assert (me.can_post_messages, me.can_edit_messages, me.can_delete_messages) == (
        True,
        True,
        False,
    )
    assert isinstance(outsider, telegram.ChatMemberLeft)
    administrators = stranger.run(bot.get_chat_administrators(channel))
    assert {member.user.id for member in administrators} == {OLEG, ANNA, bot.id}
    assert stranger.run(bot.get_chat_member_count(channel)) == 503


def test_asking_about_others_needs_an_administrator(
    stranger: Stranger, bot: telegram.Bot, people: Telegram, channel: int
) -> None:
    people.remove_bot(channel)
    refused = stranger.refused(bot.get_chat_member(channel, OLEG))
    assert refused == "BadRequest: Member list is inaccessible"
    refused = stranger.refused(bot.get_chat_administrators(channel))
    assert refused == "BadRequest: Member list is inaccessible"
    me = stranger.run(bot.get_chat_member(channel, bot.id))
    assert isinstance(me, telegram.ChatMemberLeft)


def test_unknown_member(stranger: Stranger, bot: telegram.Bot, channel: int) -> None:
    assert stranger.refused(bot.get_chat_member(channel, 999)) == "BadRequest: User not found"
    refused = stranger.refused(bot.get_chat_member(channel, -1))
    assert refused == "BadRequest: Invalid user_id specified"


def test_commands_are_kept_per_scope_and_language(stranger: Stranger, bot: telegram.Bot) -> None:
    stranger.run(bot.set_my_commands([("start", "Begin")]))
    stranger.run(bot.set_my_commands([("start", "Начать")], language_code="ru"))
    assert stranger.run(bot.get_my_commands()) == (telegram.BotCommand("start", "Begin"),)
    assert stranger.run(bot.get_my_commands(language_code="ru"))[0].description == "Начать"


def test_supergroup_knows_who_wrote(
    stranger: Stranger, bot: telegram.Bot, people: Telegram
) -> None:
    group = people.create_channel("Verifiers", creator_id=OLEG, group=True)
    people.set_member(group, bot.id, "member")
    sent = stranger.run(bot.send_message(group, "hi"))
    assert sent.from_user is not None
    assert (sent.chat.type, sent.from_user.id) == ("supergroup", bot.id)
    people.send(ANNA, "/status", chat_id=group)
    [_, update] = stranger.run(bot.get_updates())
    assert update.message is not None
    assert update.message.from_user is not None
    assert update.message.from_user.id == ANNA


def test_who_may_not_post_to_a_channel(people: Telegram, channel: int) -> None:
    with pytest.raises(Refused, match="may not post"):
        people.send(ANNA, "x", chat_id=channel)
    assert people.messages(channel) == []


def test_control_plane_says_what_it_does_not_know(people: Telegram) -> None:
    with pytest.raises(Refused, match="no such rights"):
        people.add_bot(people.create_channel("x", creator_id=OLEG), can_fly=True)
    with pytest.raises(Refused, match="user not found"):
        people.create_channel("x", creator_id=999)
