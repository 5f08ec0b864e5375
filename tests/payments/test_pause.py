"""The switch that stops every broadcast: in doubt, it is off."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone, translation
from pytest_django.fixtures import Settings

from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.reasons import ReasonMissing
from advertmarket.state import redis_state
from payments.models import OperatorRequest, PauseChange, PauseEpoch
from payments.operations import requests
from payments.sending import pause
from payments.sending.pause import (
    EpochDoesNotStand,
    NotPaused,
    PausedAnew,
    PauseNotReadable,
    PayoutsPaused,
)
from sandbox.process import LOOPBACK, free_port
from tests.database import Clone
from tests.operators import hire
from tests.payments.threads import Meanwhile
from tests.redis_elsewhere import state_at

pytestmark = pytest.mark.usefixtures("english")

SYSTEM = Actor.system("test")


@pytest.fixture
def confirmed(committed_db: Clone) -> None:
    """An installation whose epoch is confirmed: payouts may run."""
    confirm()
    pause.refuse_if_paused()


def confirm(actor: Actor = SYSTEM, reason: str = "test") -> None:
    with transaction.atomic():
        pause.confirm_epoch(actor=actor, reason=reason, at=timezone.now())


def test_before_the_first_confirmation_payouts_are_paused(committed_db: Clone) -> None:
    assert pause.pause_reason() == "no epoch is confirmed yet: run manage.py confirm_epoch"


@pytest.mark.parametrize("value", ["1", "0", "", "false", "no"])
def test_any_value_of_the_flag_pauses(confirmed: None, value: str) -> None:
    redis_state().set(pause.PAUSE_KEY, value)

    with pytest.raises(PayoutsPaused):
        pause.refuse_if_paused()

    redis_state().delete(pause.PAUSE_KEY)
    pause.refuse_if_paused()


def test_a_redis_that_lost_its_memory_pauses(confirmed: None) -> None:
    redis_state().flushall()

    assert pause.pause_reason() == "Redis lost its memory: run manage.py confirm_epoch"


def test_a_redis_with_an_older_epoch_pauses(confirmed: None) -> None:
    """One restored from a backup may have lost a pause that was set since."""
    older = str(redis_state().get(pause.EPOCH_KEY))
    confirm()
    assert pause.pause_reason() == ""

    redis_state().set(pause.EPOCH_KEY, older)

    assert pause.pause_reason() == "Redis lost its memory: run manage.py confirm_epoch"


def test_a_database_with_an_older_epoch_pauses(confirmed: None) -> None:
    older = PauseEpoch.objects.get().epoch
    confirm()

    PauseEpoch.objects.update(epoch=older)

    assert pause.pause_reason() == "Redis lost its memory: run manage.py confirm_epoch"


def test_a_redis_that_is_away_pauses_and_is_not_waited_for(
    confirmed: None, settings: Settings
) -> None:
    here = settings.REDIS_STATE_URL
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")
    began = time.monotonic()
    assert pause.pause_reason() == "Redis cannot be read (ConnectionError)"
    assert time.monotonic() - began < 1

    state_at(settings, here)
    assert pause.pause_reason() == ""


def test_a_pause_set_while_postgres_is_slow_is_seen(confirmed: None) -> None:
    def answer_late(execute: Callable[..., object], *query: object) -> object:
        answer = execute(*query)
        redis_state().set(pause.PAUSE_KEY, "1")
        return answer

    with connection.execute_wrapper(answer_late):
        assert pause.pause_reason() == "system:pause_payouts is set"


def test_a_confirmation_leaves_a_set_flag_set(confirmed: None) -> None:
    redis_state().set(pause.PAUSE_KEY, "1")

    confirm()

    assert pause.pause_reason() == "system:pause_payouts is set"


def test_a_confirmation_that_is_rolled_back_changes_nothing(confirmed: None) -> None:
    epoch = redis_state().get(pause.EPOCH_KEY)

    with transaction.atomic():
        pause.confirm_epoch(actor=SYSTEM, reason="test", at=timezone.now())
        transaction.set_rollback(True)

    assert redis_state().get(pause.EPOCH_KEY) == epoch
    assert pause.pause_reason() == ""


def test_each_confirmation_is_audited(confirmed: None) -> None:
    before = PauseEpoch.objects.get().epoch

    confirm(Actor.operator(7), "Redis was rebuilt")

    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor_kind, entry.actor_id) == ("operator", "7")
    assert (entry.action, entry.reason) == ("payouts.epoch_confirmed", "Redis was rebuilt")
    assert entry.before == {"epoch": str(before)}
    assert entry.after == {"epoch": str(PauseEpoch.objects.get().epoch)}


# --- pausing --------------------------------------------------------------------------------------


OLGA = Actor.operator(7)
AT = dt.datetime(2026, 11, 28, 3, 14, 15, tzinfo=dt.UTC)


def stop(actor: Actor = OLGA, reason: str = "a leak", at: dt.datetime = AT) -> None:
    with transaction.atomic():
        pause.pause(actor=actor, reason=reason, at=at)


def go_on(
    reason: str = "mended", at: dt.datetime = AT, seen: int | None = None, actor: Actor = OLGA
) -> None:
    with transaction.atomic():
        pause.resume(actor=actor, reason=reason, at=at, seen=seen)


def changes() -> list[tuple[bool, bool, str, str]]:
    return list(
        PauseChange.objects.order_by("pk").values_list("paused", "outside", "actor", "reason")
    )


def test_a_pause_stops_payouts_and_says_why_in_redis(confirmed: None) -> None:
    operator = hire("olga")

    stop(Actor.operator(operator))

    assert pause.pause_reason() == "system:pause_payouts is set"
    assert redis_state().get(pause.PAUSE_KEY) == "2026-11-28 03:14:15 UTC, olga: a leak"


def test_a_pause_and_its_end_are_audited(confirmed: None) -> None:
    stop()
    go_on()

    paused, resumed = AuditEntry.objects.order_by("pk")[1:]
    assert (paused.actor_kind, paused.actor_id, paused.action) == (
        "operator",
        "7",
        "payouts.paused",
    )
    assert (paused.before, paused.after) == ({"paused": False}, {"paused": True})
    assert (paused.reason, paused.ip_address, paused.at) == ("a leak", None, AT)
    assert (resumed.action, resumed.reason) == ("payouts.resumed", "mended")
    assert (resumed.before, resumed.after) == ({"paused": True}, {"paused": False})


def test_who_paused_last_stands_in_postgresql(confirmed: None) -> None:
    operator = hire("olga")
    stop(Actor.operator(operator))

    state = pause.pause_state()

    assert state.paused
    assert state.reasons == ("system:pause_payouts is set",)
    assert (state.by, state.why, state.at) == ("olga", "a leak", AT)
    assert state.number == PauseChange.objects.get().pk


def test_a_set_flag_does_not_hide_that_redis_lost_its_memory(confirmed: None) -> None:
    redis_state().flushall()
    redis_state().set(pause.PAUSE_KEY, "1")

    state = pause.pause_state()

    lost = "Redis lost its memory: run manage.py confirm_epoch"
    assert state.reasons == ("system:pause_payouts is set", lost)
    assert (state.epoch_problem, state.redis_is_away) == (lost, False)


def test_of_a_redis_that_is_away_nobody_can_tell_the_epoch(
    confirmed: None, settings: Settings
) -> None:
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")

    state = pause.pause_state()

    assert (state.epoch_problem, state.redis_is_away) == ("", True)
    assert state.reasons == ("Redis cannot be read (ConnectionError)",)


def test_nothing_was_ever_paused(confirmed: None) -> None:
    assert pause.pause_state() == pause.PauseState(
        reasons=(),
        epoch_problem="",
        redis_is_away=False,
        number=0,
        by="",
        why="",
        at=None,
        takes_two=False,
    )


@pytest.mark.parametrize("change", [stop, go_on])
def test_without_a_reason_nothing_is_done(confirmed: None, change: Callable[..., None]) -> None:
    with pytest.raises(ReasonMissing):
        change(reason="  ")

    assert changes() == []
    assert redis_state().exists(pause.PAUSE_KEY, pause.HEARD_KEY) == 0


def test_a_pause_that_is_rolled_back_changes_nothing(confirmed: None) -> None:
    with transaction.atomic():
        pause.pause(actor=OLGA, reason="a leak", at=AT)
        transaction.set_rollback(True)

    assert pause.pause_reason() == ""
    assert changes() == []


def test_the_record_only_grows(confirmed: None) -> None:
    stop()

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        PauseChange.objects.update(reason="nothing")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        PauseChange.objects.all().delete()


def test_a_pause_while_redis_is_away_holds_when_it_is_back(
    confirmed: None, settings: Settings
) -> None:
    here = settings.REDIS_STATE_URL
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")
    stop()
    assert pause.pause_reason() == "Redis cannot be read (ConnectionError)"

    state_at(settings, here)
    assert pause.pause_reason() == "system:pause_payouts is about to be set"

    pause.watch_pause(AT)
    assert pause.pause_reason() == "system:pause_payouts is set"
    assert changes() == [(True, False, "operator:7", "a leak")]


def test_a_pause_outlives_a_redis_that_lost_its_memory(confirmed: None) -> None:
    stop()
    redis_state().flushall()

    confirm()
    assert pause.pause_reason() == "system:pause_payouts is about to be set"

    pause.watch_pause(AT)
    assert str(redis_state().get(pause.PAUSE_KEY)).endswith(": a leak")


def test_a_pause_outlives_a_redis_that_was_restored_from_a_backup(confirmed: None) -> None:
    epoch = str(redis_state().get(pause.EPOCH_KEY))
    stop()

    redis_state().flushall()
    redis_state().set(pause.EPOCH_KEY, epoch)

    assert pause.pause_reason() == "system:pause_payouts is about to be set"


# --- resuming -------------------------------------------------------------------------------------


def test_a_resume_lets_payouts_run(confirmed: None) -> None:
    stop()

    go_on()

    pause.refuse_if_paused()
    assert redis_state().exists(pause.PAUSE_KEY) == 0
    assert changes()[1:] == [(False, False, "operator:7", "mended")]


def test_a_resume_lifts_what_was_set_by_hand(confirmed: None) -> None:
    redis_state().set(pause.PAUSE_KEY, "0")

    go_on()

    pause.refuse_if_paused()
    assert changes() == [
        (True, True, "system:pause-watch", "system:pause_payouts was set to “0” in Redis"),
        (False, False, "operator:7", "mended"),
    ]


def test_what_is_not_paused_is_not_resumed(confirmed: None) -> None:
    with pytest.raises(NotPaused):
        go_on()

    assert changes() == []


def test_a_resume_with_redis_away_does_nothing(confirmed: None, settings: Settings) -> None:
    stop()
    here = settings.REDIS_STATE_URL
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")

    with pytest.raises(PauseNotReadable):
        go_on()

    state_at(settings, here)
    assert pause.pause_reason() == "system:pause_payouts is set"
    assert len(changes()) == 1


def test_a_resume_says_that_the_epoch_must_be_confirmed_first(confirmed: None) -> None:
    stop()
    redis_state().delete(pause.EPOCH_KEY)

    with pytest.raises(EpochDoesNotStand, match=r"lost its memory: run manage\.py confirm_epoch"):
        go_on()

    assert redis_state().exists(pause.PAUSE_KEY) == 1
    assert len(changes()) == 1


def test_a_pause_that_the_operator_has_not_seen_is_not_lifted(confirmed: None) -> None:
    stop()
    seen = pause.pause_state().number
    stop(reason="another leak")

    with pytest.raises(PausedAnew):
        go_on(seen=seen)

    assert pause.pause_reason() == "system:pause_payouts is set"


def test_a_flag_that_is_set_during_the_resume_stays(confirmed: None) -> None:
    stop()

    with transaction.atomic():
        pause.resume(actor=OLGA, reason="mended", at=AT)
        redis_state().set(pause.PAUSE_KEY, "stop!")

    assert redis_state().get(pause.PAUSE_KEY) == "stop!"
    assert pause.pause_reason() == "system:pause_payouts is set"


def test_a_resume_that_did_not_reach_redis_leaves_payouts_paused_and_is_written_down(
    confirmed: None, settings: Settings
) -> None:
    stop()
    here = settings.REDIS_STATE_URL
    with transaction.atomic():
        pause.resume(actor=OLGA, reason="mended", at=AT)
        state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")
    state_at(settings, here)

    assert pause.pause_reason() == "system:pause_payouts is set"
    pause.watch_pause(AT + dt.timedelta(seconds=5))
    assert len(changes()) == 2  # it may be on its way

    pause.watch_pause(AT + dt.timedelta(seconds=11))
    assert changes()[2:] == [(True, True, "system:pause-watch", "the resume did not reach Redis")]
    go_on()
    pause.refuse_if_paused()


def test_of_two_resumes_at_once_one_lifts_the_pause(confirmed: None) -> None:
    stop()
    second = Meanwhile(go_on)

    with transaction.atomic():
        pause.resume(actor=OLGA, reason="mended", at=AT)
        second()
    with pytest.raises(NotPaused):
        second.result()

    assert len(changes()) == 2


def test_the_platform_s_own_pause_takes_two(confirmed: None) -> None:
    stop()
    assert not pause.takes_two()

    stop(Actor.system("reconciliation"), "check 15")
    redis_state().set(pause.PAUSE_KEY, "1")  # somebody follows the runbook
    pause.watch_pause(AT)
    stop(reason="I look into it")
    assert pause.takes_two()

    go_on()
    assert not pause.takes_two()


def test_a_pause_of_the_platform_that_is_being_committed_takes_two(confirmed: None) -> None:
    """Whoever guesses its number cannot lift it alone."""
    olga = Actor.operator(hire("olga", "operate_money"))
    stop()
    guessed = PauseChange.objects.get().pk + 1

    def ask_for_its_end() -> None:
        with transaction.atomic():
            requests.ask(
                name="payouts.resume",
                payload={"pause": guessed},
                reason="mended",
                actor=olga,
                at=AT,
            )

    asking = Meanwhile(ask_for_its_end)
    with transaction.atomic():
        pause.pause(actor=Actor.system("watch"), reason="check 15", at=AT)
        asking()
    asking.result()

    assert PauseChange.objects.latest("pk").pk == guessed
    assert pause.pause_reason() == "system:pause_payouts is set"
    assert OperatorRequest.objects.get().state == OperatorRequest.State.PENDING


# --- what is done in Redis by hand ----------------------------------------------------------------


def test_what_is_done_by_hand_is_written_down_once(confirmed: None) -> None:
    pause.watch_pause(AT)
    assert changes() == []

    redis_state().set(pause.PAUSE_KEY, "1")
    pause.watch_pause(AT)
    pause.watch_pause(AT)
    redis_state().delete(pause.PAUSE_KEY)
    pause.watch_pause(AT)
    pause.watch_pause(AT)

    assert changes() == [
        (True, True, "system:pause-watch", "system:pause_payouts was set to “1” in Redis"),
        (False, True, "system:pause-watch", "system:pause_payouts was deleted in Redis"),
    ]
    assert [entry.action for entry in AuditEntry.objects.order_by("pk")[1:]] == [
        "payouts.paused_outside",
        "payouts.resumed_outside",
    ]


def test_deleting_the_flag_by_hand_resumes_at_once(confirmed: None) -> None:
    stop()
    redis_state().delete(pause.PAUSE_KEY)
    assert pause.pause_reason() == ""

    pause.watch_pause(AT)
    assert pause.pause_reason() == ""
    assert changes()[1:] == [
        (False, True, "system:pause-watch", "system:pause_payouts was deleted in Redis")
    ]


def test_a_change_by_hand_whose_note_is_rolled_back_is_noted_the_next_time(confirmed: None) -> None:
    redis_state().set(pause.PAUSE_KEY, "1")
    with transaction.atomic():
        pause.watch_pause(AT)
        transaction.set_rollback(True)
    assert not redis_state().exists(pause.HEARD_KEY)
    assert pause.pause_reason() == "system:pause_payouts is set"

    pause.watch_pause(AT)

    assert [(paused, outside) for paused, outside, *_ in changes()] == [(True, True)]
    assert pause.pause_reason() == "system:pause_payouts is set"


def test_a_pause_by_hand_of_which_redis_did_not_hear_holds_after_its_flag(
    confirmed: None, settings: Settings
) -> None:
    """In doubt paused: one more DEL resumes, once Redis has heard of it."""
    redis_state().set(pause.PAUSE_KEY, "1")
    here = settings.REDIS_STATE_URL
    with transaction.atomic():
        pause.watch_pause(AT)
        state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")
    state_at(settings, here)
    redis_state().delete(pause.PAUSE_KEY)
    assert pause.pause_reason() == "system:pause_payouts is about to be set"

    pause.watch_pause(AT)
    assert redis_state().get(pause.PAUSE_KEY) == "1"
    redis_state().delete(pause.PAUSE_KEY)

    assert pause.pause_reason() == ""


def test_a_flag_set_over_ours_is_another_pause(confirmed: None) -> None:
    stop()
    redis_state().set(pause.PAUSE_KEY, "I too")

    pause.watch_pause(AT)

    assert changes()[1:] == [
        (True, True, "system:pause-watch", "system:pause_payouts was set to “I too” in Redis")
    ]


@pytest.mark.parametrize(
    ("set_it", "shown"),
    [
        (lambda redis: redis.set(pause.PAUSE_KEY, b"\xff\xfe"), "(no text)"),
        (lambda redis: redis.lpush(pause.PAUSE_KEY, "1"), "(no text)"),
        (lambda redis: redis.set(pause.PAUSE_KEY, "a\0b"), "a\\0b"),
        (lambda redis: redis.set(pause.PAUSE_KEY, "x" * 5000), "x" * 100),
    ],
)
def test_whatever_the_flag_is_it_pauses_and_can_be_written_down(
    confirmed: None, set_it: Callable[[Any], object], shown: str
) -> None:
    set_it(redis_state())

    assert pause.pause_reason() == "system:pause_payouts is set"
    pause.watch_pause(AT)
    pause.watch_pause(AT)
    assert [reason for *_, reason in changes()] == [
        f"system:pause_payouts was set to “{shown}” in Redis"
    ]


def test_with_redis_away_nothing_is_written_down(confirmed: None, settings: Settings) -> None:
    stop()
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")

    pause.watch_pause(AT)

    assert len(changes()) == 1


def test_a_redis_that_lost_its_memory_has_resumed_nothing(confirmed: None) -> None:
    redis_state().set(pause.PAUSE_KEY, "1")
    pause.watch_pause(AT)
    redis_state().flushall()

    pause.watch_pause(AT)

    assert redis_state().get(pause.PAUSE_KEY) == "1"
    assert len(changes()) == 1


# --- the commands ---------------------------------------------------------------------------------


def test_an_operator_pauses_and_resumes(
    confirmed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    olga = hire("olga", "operate_money")

    call_command("pause", operator="olga", reason="a leak")
    call_command("resume", operator="olga", reason="mended")

    assert capsys.readouterr().out.splitlines() == [
        "payouts are paused: system:pause_payouts is set",
        "payouts may run",
    ]
    assert changes() == [
        (True, False, f"operator:{olga}", "a leak"),
        (False, False, f"operator:{olga}", "mended"),
    ]


def test_what_was_set_by_hand_a_moment_ago_is_resumed(confirmed: None) -> None:
    hire("olga", "operate_money")
    redis_state().set(pause.PAUSE_KEY, "1")

    call_command("resume", operator="olga", reason="mended")

    pause.refuse_if_paused()


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_who_may_not_operate_on_money_does_neither(confirmed: None, command: str) -> None:
    hire("eve")

    for name, problem in (("eve", "You may not do this"), ("nobody", "no active operator")):
        with pytest.raises(CommandError, match=problem):
            call_command(command, operator=name, reason="why not")

    assert changes() == []


def test_the_platform_s_own_pause_is_lifted_by_a_second_operator(
    confirmed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hire("olga", "operate_money")
    boris = hire("boris", "approve_money")
    stop(Actor.system("reconciliation"), "check 15")

    with pytest.raises(CommandError, match=r"manage\.py operate approve [0-9a-f-]{36} ") as told:
        call_command("resume", operator="olga", reason="mended")
    assert pause.pause_reason() == "system:pause_payouts is set"

    [request] = OperatorRequest.objects.all()
    assert str(request.pk) in str(told.value)
    with transaction.atomic():
        requests.approve(request_id=request.pk, actor=Actor.operator(boris), at=timezone.now())
    pause.refuse_if_paused()
    assert changes()[1:] == [(False, False, f"operator:{boris}", "mended")]


def test_a_resume_that_cannot_be_says_what_to_do(confirmed: None) -> None:
    hire("olga", "operate_money")
    stop()
    redis_state().delete(pause.EPOCH_KEY)

    with pytest.raises(CommandError, match=r"run manage\.py confirm_epoch"):
        call_command("resume", operator="olga", reason="mended")


def test_the_installation_confirms_without_a_name(
    committed_db: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("confirm_epoch")

    assert pause.pause_reason() == ""
    assert capsys.readouterr().out == "payouts may run\n"


def test_afterwards_an_operator_must_be_named(confirmed: None) -> None:
    epoch = PauseEpoch.objects.get().epoch

    with pytest.raises(CommandError, match="name the --operator"):
        call_command("confirm_epoch")
    with pytest.raises(CommandError, match="no active operator nobody"):
        call_command("confirm_epoch", operator="nobody", reason="x")

    assert PauseEpoch.objects.get().epoch == epoch


def test_an_operator_confirms(confirmed: None, capsys: pytest.CaptureFixture[str]) -> None:
    operator = hire("vera", "operate_money")
    redis_state().flushall()

    call_command("confirm_epoch", operator="vera", reason="Redis was rebuilt")

    assert pause.pause_reason() == ""
    assert PauseEpoch.objects.get().confirmed_by == f"operator:{operator}"
    assert capsys.readouterr().out == "payouts may run\n"


@pytest.mark.parametrize(
    ("language", "reason"),
    [
        ("en", "Redis lost its memory: run manage.py confirm_epoch"),
        ("ru", "Redis потерял память: выполните manage.py confirm_epoch"),
    ],
)
def test_the_reason_is_told_in_the_language_of_whoever_asks(
    confirmed: None, language: str, reason: str
) -> None:
    redis_state().flushall()

    with translation.override(language), pytest.raises(pause.PayoutsPaused) as refusal:
        pause.refuse_if_paused()

    assert refusal.value.facts["reason"] == reason
