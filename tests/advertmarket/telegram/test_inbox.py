"""Updates are handled once, in the order of their chat; what fails holds up no other chat."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import transaction

from advertmarket.errors import DomainError
from advertmarket.telegram import dispatcher, inbox, outgoing
from advertmarket.telegram.dispatcher import reply
from advertmarket.telegram.incoming import Incoming
from advertmarket.telegram.models import OutgoingMessage, Update
from advertmarket.telegram.queue import lease
from tests.advertmarket.telegram.conftest import ANNA, OLEG, Clock

pytestmark = pytest.mark.usefixtures("committed_db")

Handle = Callable[[Incoming], None]


class Refusal(DomainError):
    """The deal has moved on."""

    message = "<moved on>"


class Spy:
    """A handler of the kind "test_kind": keeps what it is given, then does what it is told."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.then: Handle = lambda _update: None

    def __call__(self, update: Incoming, *, at: datetime) -> None:
        self.seen.append(update.text)
        reply(update, update.text, at=at)
        self.then(update)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    spy = Spy()
    monkeypatch.setitem(dispatcher._kinds, "test_kind", [spy])
    return spy


def come(update_id: int, text: str, clock: Clock, *, chat_id: int = ANNA) -> None:
    body: dict[str, Any] = {
        "text": text,
        "chat": {"id": chat_id, "type": "private"},
        "from": {"id": chat_id, "first_name": "A", "language_code": "en"},
    }
    inbox.store(json.dumps({"update_id": update_id, "test_kind": body}).encode(), at=clock())


def handle_all(clock: Clock) -> None:
    while inbox.handle_next(at=clock()):
        pass


def said() -> list[str]:
    return list(OutgoingMessage.objects.order_by("id").values_list("text", flat=True))


def test_updates_of_a_chat_are_handled_in_order(spy: Spy, clock: Clock) -> None:
    for update_id, text in ((12, "c"), (10, "a"), (11, "b")):
        come(update_id, text, clock)

    handle_all(clock)

    assert spy.seen == said() == ["a", "b", "c"]
    assert set(Update.objects.values_list("state", "done_at")) == {("DONE", clock())}


def test_failure_is_retried_then_set_aside_while_other_chats_go_on(spy: Spy, clock: Clock) -> None:
    def fail(update: Incoming) -> None:
        if update.text == "bad":
            raise ZeroDivisionError("broken")

    spy.then = fail
    come(1, "bad", clock)
    come(2, "after", clock)
    come(3, "other", clock, chat_id=OLEG)

    handle_all(clock)
    assert (spy.seen, said()) == (["bad", "other"], ["other"])

    for delay in inbox.RETRY_DELAYS:
        clock.move(seconds=delay.total_seconds() - 0.5)
        handle_all(clock)
        assert "after" not in spy.seen
        clock.move(seconds=0.5)
        handle_all(clock)

    assert spy.seen == ["bad", "other", *["bad"] * 4, "after"]
    assert said() == ["other", "after"]
    update = Update.objects.get(id=1)
    assert (update.state, update.attempts) == ("SET_ASIDE", 5)
    assert update.error == "ZeroDivisionError('broken')"


def test_what_a_failed_attempt_wrote_is_undone(spy: Spy, clock: Clock) -> None:
    attempts = iter([True, False])

    def fail_once(_update: Incoming) -> None:
        if next(attempts):
            raise ZeroDivisionError

    spy.then = fail_once
    come(1, "hello", clock)

    handle_all(clock)
    assert said() == []
    clock.move(seconds=1)
    handle_all(clock)

    assert said() == ["hello"]
    assert Update.objects.get().state == "DONE"


def test_refusal_is_told_and_settles_the_update(spy: Spy, clock: Clock) -> None:
    def refuse(_update: Incoming) -> None:
        raise Refusal

    spy.then = refuse
    come(1, "hello", clock)

    handle_all(clock)

    assert said() == ["&lt;moved on&gt;"]
    assert Update.objects.get().state == "DONE"


def test_update_of_a_worker_that_died_is_taken_over(spy: Spy, clock: Clock) -> None:
    come(1, "hello", clock)
    lease(Update, at_most=1, lease_time=inbox.LEASE, at=clock())

    handle_all(clock)
    assert spy.seen == []

    clock.move(seconds=60)
    handle_all(clock)
    assert spy.seen == ["hello"]


def test_update_that_kills_every_worker_is_set_aside(spy: Spy, clock: Clock) -> None:
    come(1, "poison", clock)
    for _ in range(5):
        assert lease(Update, at_most=1, lease_time=inbox.LEASE, at=clock())
        clock.move(seconds=60)

    handle_all(clock)

    assert spy.seen == []
    update = Update.objects.get()
    assert (update.state, update.error) == ("SET_ASIDE", "WorkerDied()")


def test_late_worker_does_not_handle_again(spy: Spy, clock: Clock) -> None:
    come(1, "hello", clock)
    [late] = lease(Update, at_most=1, lease_time=inbox.LEASE, at=clock())
    clock.move(seconds=60)
    handle_all(clock)

    inbox._handle(late, at=clock())

    assert spy.seen == ["hello"]


def test_kind_that_nobody_handles_is_done(clock: Clock) -> None:
    come(1, "hello", clock)

    handle_all(clock)

    assert Update.objects.get().state == "DONE"


def test_money_that_waited_goes_out_when_the_person_is_back(spy: Spy, clock: Clock) -> None:
    with transaction.atomic():
        for about_money in (True, False):
            outgoing.say(
                chat_id=ANNA,
                text="waiting",
                about_money=about_money,
                is_reachable=False,
                at=clock(),
            )
    come(1, "hello", clock)

    handle_all(clock)

    states = OutgoingMessage.objects.order_by("id").values_list("state", flat=True)
    assert list(states) == ["PENDING", "UNREACHABLE", "PENDING"]


def test_handled_updates_go_after_48_hours_and_pending_ones_stay(spy: Spy, clock: Clock) -> None:
    come(1, "done", clock)
    handle_all(clock)
    come(2, "pending", clock)

    clock.move(hours=47)
    with transaction.atomic():
        assert inbox.forget_old(at=clock()) == 0
    clock.move(hours=2)
    with transaction.atomic():
        assert inbox.forget_old(at=clock()) == 1

    assert Update.objects.get().id == 2


def test_updates_set_aside_go_after_30_days(spy: Spy, clock: Clock) -> None:
    def fail(_update: Incoming) -> None:
        raise ZeroDivisionError

    spy.then = fail
    come(1, "bad", clock)
    for _ in range(5):
        handle_all(clock)
        clock.move(minutes=3)
    assert Update.objects.get().state == "SET_ASIDE"

    clock.move(days=29)
    with transaction.atomic():
        assert inbox.forget_old(at=clock()) == 0
    clock.move(days=1)
    with transaction.atomic():
        assert inbox.forget_old(at=clock()) == 1
    assert not Update.objects.exists()
