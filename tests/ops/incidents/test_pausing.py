"""A critical check pauses payouts once; what an operator resumed afterwards stays resumed."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.state import redis_state
from ops.incidents import pausing, services
from ops.incidents.causes import Cause
from ops.models import Alert, Incident, IncidentEntry
from payments.sending import pause
from sandbox.process import LOOPBACK, free_port
from tests.database import Clone
from tests.ops.incidents.conftest import ACTOR, Clock, Trouble, make_vera
from tests.redis_elsewhere import state_at

pytestmark = pytest.mark.usefixtures("english")

BROKEN = Cause("check_critical", key="15", facts={"number": 15, "check": "reserves"})


@pytest.fixture(autouse=True)
def payouts_run(committed_db: Clone) -> None:
    """An installation whose epoch is confirmed."""
    with transaction.atomic():
        pause.confirm_epoch(actor=ACTOR, reason="test", at=timezone.now())
    assert pause.pause_reason() == ""


def turn(trouble: Trouble, *causes: Cause) -> bool:
    """Follow what is seen, and pause if that asks for it."""
    trouble.seen(*causes)
    return not pausing.pause_what_asks(at=trouble.clock())


def resume(actor: Actor) -> None:
    with transaction.atomic():
        pause.resume(actor=actor, reason="looked at it", at=timezone.now())


def times_paused() -> int:
    return AuditEntry.objects.filter(action="payouts.paused").count()


def test_a_critical_check_pauses_and_says_why(trouble: Trouble) -> None:
    assert turn(trouble, BROKEN)

    assert pause.pause_reason() == "system:pause_payouts is set"
    entry = AuditEntry.objects.get(action="payouts.paused")
    number = Incident.objects.get().pk
    assert (entry.actor_kind, entry.actor_id) == ("system", "watch")
    assert entry.reason == f"incident {number}: Check 15 of the books fails: reserves"
    history = IncidentEntry.objects.order_by("pk").values_list("what", flat=True)
    assert list(history) == ["OPENED", "PAUSED"]


@pytest.mark.parametrize("name", ["check_high", "payout_stuck", "telegram_refused", "dead_letters"])
def test_nothing_else_pauses(trouble: Trouble, name: str) -> None:
    turn(trouble, Cause(name))

    assert Incident.objects.get().kind == name
    assert pause.pause_reason() == ""


def test_what_an_operator_resumed_stays_resumed(trouble: Trouble, clock: Clock) -> None:
    turn(trouble, BROKEN)
    resume(make_vera())
    for _ in range(3):
        clock.move(seconds=5)
        turn(trouble, BROKEN)

    assert pause.pause_reason() == ""
    assert times_paused() == 1


def test_another_finding_of_the_same_check_pauses_again(trouble: Trouble, clock: Clock) -> None:
    facts = BROKEN.facts
    one = Cause("check_critical", key="15", facts=facts, subjects=["wallet 7"], found=1)
    other = Cause("check_critical", key="15", facts=facts, subjects=["wallet 8"], found=90)
    turn(trouble, one)
    resume(make_vera())
    clock.move(minutes=5)
    turn(trouble, one)
    assert times_paused() == 1

    turn(trouble, other)

    assert pause.pause_reason() == "system:pause_payouts is set"
    assert times_paused() == 2


def test_another_check_that_fails_later_pauses_again(trouble: Trouble) -> None:
    turn(trouble, BROKEN)
    resume(make_vera())

    turn(trouble, BROKEN, Cause("check_critical", key="1", facts={"number": 1, "check": "sums"}))

    assert pause.pause_reason() == "system:pause_payouts is set"
    assert times_paused() == 2


def test_when_it_opens_again_after_it_was_resolved_it_pauses_again(
    trouble: Trouble, clock: Clock
) -> None:
    vera = make_vera()
    turn(trouble, BROKEN)
    resume(vera)
    clock.move(minutes=1)
    with transaction.atomic():
        services.resolve(
            incident_id=Incident.objects.get().pk, note="booked", actor=vera, at=clock()
        )

    turn(trouble, BROKEN)

    assert pause.pause_reason() == "system:pause_payouts is set"
    assert times_paused() == 2


def test_with_redis_away_payouts_are_paused_and_stay_so_when_it_is_back(
    trouble: Trouble, settings: Settings
) -> None:
    here = settings.REDIS_STATE_URL
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")

    assert turn(trouble, BROKEN)

    assert pause.pause_reason() == "Redis cannot be read (ConnectionError)"
    state_at(settings, here)
    assert pause.pause_reason() == "system:pause_payouts is about to be set"
    pause.watch_pause(timezone.now())
    assert redis_state().exists(pause.PAUSE_KEY)
    assert pause.pause_reason() == "system:pause_payouts is set"


def test_a_pause_that_fails_is_tried_again_until_it_is_done(
    trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(pause, "pause", _fail)
        assert not turn(trouble, BROKEN)
        assert not turn(trouble, BROKEN)
    assert Incident.objects.get().pause_asked_at is not None  # opened all the same

    assert turn(trouble, BROKEN)

    assert pause.pause_reason() == "system:pause_payouts is set"
    assert times_paused() == 1
    assert Incident.objects.get().pause_asked_at is None


def test_a_pause_that_failed_is_not_made_up_for_once_an_operator_has_resumed(
    trouble: Trouble, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    vera = make_vera()
    with monkeypatch.context() as broken:
        broken.setattr(pause, "pause", _fail)
        turn(trouble, BROKEN)
    Alert.objects.update(state="SENT", sent_at=clock(), text="x")
    with transaction.atomic():
        pause.pause(actor=ACTOR, reason="by hand", at=timezone.now())
    resume(vera)
    clock.move(seconds=5)

    assert turn(trouble, BROKEN)

    assert pause.pause_reason() == ""
    assert times_paused() == 1
    assert IncidentEntry.objects.filter(what="NOT_PAUSED").count() == 1


def test_a_resume_before_anybody_was_told_forbids_no_pause(trouble: Trouble, clock: Clock) -> None:
    """The watch dies before it pauses, and somebody ends a pause of their own."""
    vera = make_vera()
    with transaction.atomic():
        pause.pause(actor=vera, reason="deploying", at=timezone.now())
    trouble.seen(BROKEN)
    resume(vera)
    Alert.objects.update(state="SENT", sent_at=timezone.now(), text="x")
    clock.move(seconds=10)

    assert turn(trouble, BROKEN)

    assert pause.pause_reason() == "system:pause_payouts is set"
    assert not IncidentEntry.objects.filter(what="NOT_PAUSED").exists()


def _fail(**_: object) -> None:
    raise ConnectionError("not now")
