"""What the bot answers to anyone, in which language, and whom it knows to be there."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import transaction

from accounts import services
from accounts.models import TelegramUser
from advertmarket.actors import Actor
from tests.bot_chat import BotChat

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> BotChat:
    return BotChat(42)


def buttons(message: object) -> list[tuple[str, str]]:
    rows: list[list[dict[str, str]]] = message.buttons  # type: ignore[attr-defined]
    return [(b["label"], b["url"] or b["callback_data"]) for row in rows for b in row]


def test_start_greets_and_remembers(ann: BotChat) -> None:
    [greeting] = ann.write("/start")

    assert greeting.text.startswith("Advertisers and channels meet here.")
    assert buttons(greeting) == [("Open advertmarket", "https://t.me/advertmarket_bot?startapp=")]
    user = TelegramUser.objects.get()
    assert (user.id, user.first_name, user.language) == (42, "Ann", "en")


@pytest.mark.parametrize(
    "payload", ["deal_0f8fad5b-d9cb-469f-a165-70867728950e", "channel_-1001234567890"]
)
def test_deep_link_leads_to_its_place(ann: BotChat, payload: str) -> None:
    [answer] = ann.write(f"/start {payload}")

    assert buttons(answer) == [
        ("Open advertmarket", f"https://t.me/advertmarket_bot?startapp={payload}")
    ]


@pytest.mark.parametrize("payload", ["deal_<script>", "other_1", "deal_", "deal_1 2"])
def test_other_payloads_are_just_a_start(ann: BotChat, payload: str) -> None:
    [answer] = ann.write(f"/start {payload}")

    assert buttons(answer)[0][1] == "https://t.me/advertmarket_bot?startapp="


def test_language_is_chosen_by_button(ann: BotChat, monkeypatch: pytest.MonkeyPatch) -> None:
    [question] = ann.write("/language")
    assert question.text == "Which language shall I speak?"
    assert buttons(question) == [("Русский", "language:ru"), ("English", "language:en")]

    [answer] = ann.press("language:ru")

    assert answer.text == "Теперь я говорю по-русски."
    assert TelegramUser.objects.get().language == "ru"
    assert ann.write("/language")[0].text == "На каком языке мне говорить?"


def test_language_that_is_none_is_refused(ann: BotChat) -> None:
    [answer] = ann.press("language:xx")

    assert answer.text == "“xx” is not a language of this product."
    assert not TelegramUser.objects.filter(language="xx").exists()


def test_stranger_is_spoken_to_in_telegrams_language() -> None:
    [answer] = BotChat(43, language_code="ru").write("/help")

    assert "/language — Выбрать язык" in answer.text


def test_help_names_every_command(ann: BotChat) -> None:
    [answer] = ann.write("/help")

    assert "/start — Begin" in answer.text
    assert "/language — Choose the language" in answer.text


def test_unknown_command_gets_help_and_chatter_gets_nothing(ann: BotChat) -> None:
    assert "/help" in ann.write("/dance")[0].text
    assert ann.write("hello") == []


def test_command_in_a_group_is_none(ann: BotChat) -> None:
    group = {"chat": {"id": -100, "type": "supergroup"}, "text": "/start"}

    assert ann.receive("message", group) == []
    assert not TelegramUser.objects.exists()


def test_blocking_and_unblocking_the_bot_is_noted(ann: BotChat) -> None:
    ann.write("/start")

    ann.receive("my_chat_member", {"new_chat_member": {"status": "kicked"}})
    assert TelegramUser.objects.get().unreachable_at is not None

    ann.receive("my_chat_member", {"new_chat_member": {"status": "member"}})
    assert TelegramUser.objects.get().unreachable_at is None


def test_channel_that_drops_the_bot_makes_nobody_unreachable(ann: BotChat) -> None:
    ann.write("/start")

    ann.receive(
        "my_chat_member",
        {"chat": {"id": -100, "type": "channel"}, "new_chat_member": {"status": "kicked"}},
    )

    assert TelegramUser.objects.get().unreachable_at is None


def test_start_makes_reachable_again(ann: BotChat) -> None:
    ann.write("/start")
    ann.receive("my_chat_member", {"new_chat_member": {"status": "kicked"}})

    ann.write("/start")

    assert TelegramUser.objects.get().unreachable_at is None


AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["/start", "/help", "/language", "/mydeals", "/dance"])
def test_whom_an_operator_blocked_gets_that_answer_to_any_command(ann: BotChat, text: str) -> None:
    ann.write("/start")
    with transaction.atomic():
        services.block_user(user_id=42, actor=Actor.operator(1), reason="fraud", at=AT)

    assert [said.text for said in ann.write(text)] == ["This account is blocked; write to support."]


def test_a_blocked_user_s_press_changes_nothing(ann: BotChat) -> None:
    ann.write("/start")
    with transaction.atomic():
        services.block_user(user_id=42, actor=Actor.operator(1), reason="fraud", at=AT)

    [answer] = ann.press("language:ru")

    assert answer.text == "This account is blocked; write to support."
    assert TelegramUser.objects.get().language == "en"


def test_a_blocked_user_who_blocks_the_bot_is_noted_as_unreachable(ann: BotChat) -> None:
    ann.write("/start")
    with transaction.atomic():
        services.block_user(user_id=42, actor=Actor.operator(1), reason="fraud", at=AT)

    assert ann.receive("my_chat_member", {"new_chat_member": {"status": "kicked"}}) == []
    assert TelegramUser.objects.get().unreachable_at is not None


def test_who_was_deleted_may_do_nothing_but_begin_anew(ann: BotChat) -> None:
    ann.write("/start")
    TelegramUser.objects.update(deleted_at=AT)

    refusals = [*ann.press("language:ru"), *ann.write("/mydeals"), *ann.write("/language")]
    assert {said.text for said in refusals} == {
        "This account was deleted; /start begins a new one."
    }
    assert (len(refusals), TelegramUser.objects.get().deleted_at) == (3, AT)

    assert ann.write("/start")[0].text.startswith("Advertisers and channels meet here.")
    assert TelegramUser.objects.get().deleted_at is None
