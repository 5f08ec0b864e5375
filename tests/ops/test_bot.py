"""Operators' commands: they do what they say, and for anybody else they do not exist."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import time_machine
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from accounts import services
from accounts.models import Operator
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.state import redis_state
from advertmarket.telegram.models import OutgoingMessage
from ops import questions, tasks
from ops.models import OperatorQuestion, ReconciliationRun
from ops.operators import may_act_on_money
from payments.models import AccountBalance, OperatorRequest, PauseChange
from payments.sending import pause
from payments.sending.pause import changing
from sandbox.process import LOOPBACK, free_port
from tests.bot_chat import BotChat
from tests.database import Clone
from tests.local_telegram import local_telegram
from tests.operators import hire
from tests.redis_elsewhere import state_at

pytestmark = pytest.mark.usefixtures("english")

OLGA, EVE = 4711, 4712
SYSTEM = Actor.system("test")


@pytest.fixture
def olga(committed_db: Clone) -> BotChat:
    """An operator's chat, where payouts may run."""
    with transaction.atomic():
        pause.confirm_epoch(actor=SYSTEM, reason="test", at=timezone.now())
    hire("olga", "operate_money")
    link("olga", OLGA)
    return BotChat(OLGA, "Olga")


def link(name: str, telegram_id: int, language: str = "en") -> None:
    with transaction.atomic():
        services.link_operator(
            username=name,
            telegram_id=telegram_id,
            language=language,
            actor=SYSTEM,
            at=timezone.now(),
        )


def texts(messages: list[OutgoingMessage]) -> list[str]:
    return [message.text for message in messages]


def button(message: OutgoingMessage) -> str:
    [[one]] = message.buttons
    assert isinstance(one["callback_data"], str)
    return one["callback_data"]


def answers() -> list[str]:
    """Let the worker answer, and return what it says."""
    before = set(OutgoingMessage.objects.values_list("pk", flat=True))
    tasks.answer_operators()
    said = OutgoingMessage.objects.exclude(pk__in=before).order_by("pk")
    return texts(list(said))


def operator_id() -> str:
    return str(Operator.objects.get(username="olga").pk)


# --- for whom they exist --------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["/status", "/reconcile", "/pause x", "/resume x"])
def test_for_anybody_else_they_are_unknown_commands(olga: BotChat, text: str) -> None:
    redis_state().set(pause.PAUSE_KEY, "1")
    hire("idle")
    link("idle", EVE)
    hire("gone", "operate_money")
    link("gone", EVE + 1)
    Operator.objects.filter(username="gone").update(is_active=False)

    for chat in (BotChat(EVE), BotChat(EVE + 1), BotChat(EVE + 2)):
        assert texts(chat.write(text)) == texts(chat.write("/dance"))

    assert not PauseChange.objects.exists()
    assert not OperatorQuestion.objects.exists()
    assert not OperatorRequest.objects.exists()


def test_help_tells_operators_alone_of_them(olga: BotChat) -> None:
    names = ("/status", "/reconcile", "/pause", "/resume")

    assert all(f"{name} — " in olga.write("/help")[0].text for name in names)
    stranger = BotChat(EVE).write("/help")[0].text
    assert not [name for name in names if name in stranger]


def test_a_press_of_anybody_else_does_nothing(olga: BotChat) -> None:
    olga.write("/pause a leak")
    [question] = olga.write("/resume mended")

    assert BotChat(EVE).press(button(question)) == []

    assert pause.pause_reason() == "system:pause_payouts is set"


def test_menus_show_them_in_operators_chats_only(
    olga: BotChat, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hire("boris", "operate_money")
    link("boris", EVE, language="ru")
    with local_telegram(tmp_path, settings) as telegram:
        telegram.create_user(OLGA, "Olga", started=True)
        telegram.create_user(EVE, "Boris", started=True)

        call_command("register_webhook")

        def menu(**scope: object) -> dict[str, str]:
            answer = httpx.post(
                f"{settings.TELEGRAM_API_URL}/bot{settings.TELEGRAM_BOT_TOKEN}/getMyCommands",
                json={"scope": scope} if scope else {},
            )
            return {one["command"]: one["description"] for one in answer.json()["result"]}

        assert "pause" not in menu()
        assert menu(type="chat", chat_id=OLGA)["status"] == "What needs a person"
        assert menu(type="chat", chat_id=EVE)["status"] == "Что требует человека"
        assert set(menu()) < set(menu(type="chat", chat_id=OLGA))


# --- pause and resume -----------------------------------------------------------------------------


def test_an_operator_pauses(olga: BotChat) -> None:
    assert texts(olga.write("/pause a <leak>")) == [
        "Payouts are paused: nothing is signed or sent any more."
    ]

    assert pause.pause_reason() == "system:pause_payouts is set"
    change = PauseChange.objects.get()
    assert (change.actor, change.reason) == (f"operator:{operator_id()}", "a <leak>")
    entry = AuditEntry.objects.get(action="payouts.paused")
    assert (entry.actor_kind, entry.actor_id) == ("operator", operator_id())


def test_a_pause_needs_no_redis(olga: BotChat, settings: Settings) -> None:
    here = settings.REDIS_STATE_URL
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")

    olga.write("/pause a leak")

    state_at(settings, here)
    assert pause.pause_reason() == "system:pause_payouts is about to be set"


@pytest.mark.parametrize("text", ["/pause", "/pause  ", "/resume"])
def test_without_a_reason_nothing_is_done(olga: BotChat, text: str) -> None:
    assert texts(olga.write(text)) == ["Say why."]
    assert not PauseChange.objects.exists()


def test_a_resume_is_confirmed_by_a_button(olga: BotChat) -> None:
    redis_state().set(pause.PAUSE_KEY, "stop <b>")

    [question] = olga.write("/resume mended")

    lines = question.text.splitlines()
    assert lines[0] == "Payouts are paused: system:pause_payouts is set."
    assert lines[1].endswith(": system:pause_payouts was set to “stop &lt;b&gt;” in Redis")
    assert pause.pause_reason() == "system:pause_payouts is set"

    assert texts(olga.press(button(question))) == ["Payouts run again."]
    assert pause.pause_reason() == ""
    change = PauseChange.objects.latest("pk")
    assert (change.paused, change.actor, change.reason) == (
        False,
        f"operator:{operator_id()}",
        "mended",
    )


def test_the_button_expires(olga: BotChat) -> None:
    olga.write("/pause a leak")
    [question] = olga.write("/resume mended")

    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        assert texts(olga.press(button(question))) == [
            "This button has expired: write /resume again."
        ]

    assert pause.pause_reason() == "system:pause_payouts is set"


def test_the_button_lifts_the_pause_once(olga: BotChat) -> None:
    olga.write("/pause a leak")
    [question] = olga.write("/resume mended")
    olga.press(button(question))

    assert texts(olga.press(button(question))) == ["Payouts are not paused."]
    assert PauseChange.objects.count() == 2


def test_the_button_lifts_the_pause_that_was_shown_and_no_other(olga: BotChat) -> None:
    olga.write("/pause a leak")
    [question] = olga.write("/resume mended")
    olga.write("/pause another leak")

    assert texts(olga.press(button(question))) == [
        "The pause has changed since you looked: look again."
    ]
    assert pause.pause_reason() == "system:pause_payouts is set"


@pytest.mark.parametrize("data", ["resume:", "resume:1:1", "resume:x:y", "resume:٣:1"])
def test_a_press_that_nobody_offered_lifts_nothing(olga: BotChat, data: str) -> None:
    olga.write("/pause a leak")

    assert texts(olga.press(data)) == ["This button has expired: write /resume again."]
    assert pause.pause_reason() == "system:pause_payouts is set"


def test_another_operator_s_button_lifts_nothing(olga: BotChat) -> None:
    hire("boris", "operate_money")
    link("boris", EVE)
    olga.write("/pause a leak")
    [question] = olga.write("/resume mended")

    assert texts(BotChat(EVE).press(button(question))) == [
        "This button has expired: write /resume again."
    ]
    assert pause.pause_reason() == "system:pause_payouts is set"


def test_what_is_not_paused_is_not_resumed(olga: BotChat) -> None:
    assert texts(olga.write("/resume mended")) == ["Payouts are not paused."]


def test_what_was_lifted_by_hand_stays_lifted_when_the_bot_is_asked(olga: BotChat) -> None:
    olga.write("/pause a leak")
    redis_state().delete(pause.PAUSE_KEY)

    assert texts(olga.write("/resume mended")) == ["Payouts are not paused."]
    for _ in range(2):
        pause.watch_pause(timezone.now())

    assert pause.pause_reason() == ""
    assert [change.paused for change in PauseChange.objects.order_by("pk")] == [True, False]


def test_the_platform_s_own_pause_asks_a_second_operator(olga: BotChat) -> None:
    with transaction.atomic():
        pause.pause(actor=Actor.system("watch"), reason="check 15", at=timezone.now())
    [question] = olga.write("/resume mended")
    assert question.text.endswith("The platform paused by itself: two operators resume.")

    [answer] = olga.press(button(question))

    request = OperatorRequest.objects.get()
    assert answer.text == f"A second operator decides: manage.py operate approve {request.pk}"
    assert pause.pause_reason() == "system:pause_payouts is set"


def test_a_lost_epoch_is_said_with_what_to_do(olga: BotChat) -> None:
    olga.write("/pause a leak")
    [question] = olga.write("/resume mended")
    redis_state().delete(pause.EPOCH_KEY)

    assert texts(olga.press(button(question))) == [
        "Payouts cannot be resumed yet: Redis lost its memory: run manage.py confirm_epoch."
    ]
    assert pause.pause_state().reasons[0] == "system:pause_payouts is set"


def test_a_resume_that_did_not_reach_redis_is_no_success(
    olga: BotChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    olga.write("/pause a leak")
    [question] = olga.write("/resume mended")
    monkeypatch.setattr(changing, "_delete_flag", lambda *_: None)

    [answer] = olga.press(button(question))

    assert answer.text.startswith("Payouts are paused: system:pause_payouts is set.")


# --- status and reconcile -------------------------------------------------------------------------


def test_the_status_comes_from_a_worker_and_is_audited(olga: BotChat) -> None:
    assert olga.write("/status") == []

    [answer] = answers()

    lines = answer.splitlines()
    assert lines[0].startswith("<b>Needs a person: ")
    assert "• payouts: may run" in lines
    assert "• money: escrow 0 TON, owed 0 TON, treasury 0 TON" in lines
    assert "❗ chain reader: never ran" in lines
    assert not [line for line in lines if "stuck" in line]
    entry = AuditEntry.objects.get(action="bot.status")
    assert (entry.actor_kind, entry.actor_id) == ("operator", operator_id())
    assert not OperatorQuestion.objects.exists()


def test_operators_are_spoken_to_in_their_language(olga: BotChat) -> None:
    link("olga", OLGA, language="ru")

    assert texts(olga.write("/pause")) == ["Укажите причину."]
    olga.write("/status")
    assert "• выплаты: разрешены" in answers()[0].splitlines()


def test_the_checks_run_in_a_worker_and_tell_what_they_found(olga: BotChat) -> None:
    assert texts(olga.write("/reconcile")) == [
        "The checks of the books are running; what they find follows."
    ]

    [answer] = answers()

    assert answer.startswith("All 16 checks of the books passed, in ")
    run = ReconciliationRun.objects.get()
    assert (run.kind, run.asked_by) == ("FULL", f"operator:{operator_id()}")
    assert AuditEntry.objects.filter(action="bot.reconcile", actor_id=operator_id()).exists()


@pytest.mark.leaves_findings
def test_checks_that_fail_are_named(olga: BotChat) -> None:
    AccountBalance.objects.create(code="PLATFORM_TREASURY", balance_nano=5)
    olga.write("/reconcile")

    [answer] = answers()

    assert answer.startswith("<b>Checks of the books that FAILED: 1 of 16</b>\n❗ ")
    assert "PLATFORM_TREASURY" in answer


def test_a_question_is_answered_once_however_many_workers_there_are(olga: BotChat) -> None:
    olga.write("/status")
    leased = questions._lease(timezone.now())

    assert leased is not None
    assert questions.answer_next() is False
    assert answers() == []


def test_what_cannot_be_told_is_tried_again_and_then_said(
    olga: BotChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(questions, "situation", fail)
    olga.write("/status")
    assert answers() == []

    later = timezone.now()
    for _attempt in range(2):
        later += questions.LEASE + timedelta(seconds=1)
        with time_machine.travel(later):
            last = answers()

    assert last == ["It could not be told; the log says why."]
    assert not OperatorQuestion.objects.exists()


def test_a_long_answer_fits_into_a_message() -> None:
    shown = questions._shown("head", ["<" * 100] * 100)

    assert len(shown.replace("&lt;", "<")) < 4096


def test_whoever_is_linked_need_not_be_allowed_to_act_on_money(olga: BotChat) -> None:
    hire("eve")
    link("eve", EVE)
    stranger = EVE + 1

    assert [may_act_on_money(one) for one in (OLGA, EVE, stranger)] == [True, False, False]
