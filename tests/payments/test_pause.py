"""The switch that stops every broadcast: in doubt, it is off."""

from __future__ import annotations

import time

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Operator
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.state import redis_state
from payments.models import PauseEpoch
from payments.sending import pause
from payments.sending.pause import PayoutsPaused
from sandbox.process import LOOPBACK, free_port
from tests.database import Clone
from tests.redis_elsewhere import state_at

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


# --- the command ----------------------------------------------------------------------------------


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
    operator = Operator.objects.create(username="vera", is_active=True)
    redis_state().flushall()

    call_command("confirm_epoch", operator="vera", reason="Redis was rebuilt")

    assert pause.pause_reason() == ""
    assert PauseEpoch.objects.get().confirmed_by == f"operator:{operator.pk}"
    assert capsys.readouterr().out == "payouts may run\n"
