"""Alerts reach people over every channel; what is dead is tried again, and delays nobody."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import socket
from collections.abc import Iterator

import pytest
from django.db import transaction
from pytest_django import Settings

from accounts.models import Operator
from advertmarket.state import redis_state
from ops.incidents import alerts, channels, services
from ops.incidents.causes import Cause
from ops.incidents.sending import Sender
from ops.models import Alert, Incident
from sandbox.telegram.control import Telegram
from tests.database import Clone
from tests.ops.incidents.conftest import (
    BORIS,
    VERA,
    Clock,
    Trouble,
    make_boris,
    make_vera,
    set_rota,
)
from tests.ops.incidents.mailbox import Mailbox
from tests.ops.incidents.outside import Hook
from tests.waiting import wait_until

P0 = Cause("check_critical", key="15", facts={"number": 15, "check": "c", "found": 1})
P1 = Cause("payout_stuck", key="1", facts={"amount": "90"})
P3 = Cause("dead_letters", key="cg-x", facts={"group": "cg-x", "count": 1, "error": "e"})


@pytest.fixture
def sender(clock: Clock, committed_db: Clone) -> Iterator[Sender]:
    sender = Sender(clock)
    yield sender
    assert sender.wait(limit_s=20)


def send(sender: Sender) -> None:
    """Send what is due now, and wait for it."""
    sender.send_due()
    assert sender.wait(limit_s=20)


def states() -> dict[str, tuple[str, int]]:
    """Of each alert: its state and the number of attempts."""
    return {
        f"{alert.reason} {alert.channel}": (alert.state, alert.attempts)
        for alert in Alert.objects.all()
    }


def texts(telegram: Telegram, chat_id: int) -> list[str]:
    return [message["text"] for message in telegram.messages(chat_id)]


# --- every channel --------------------------------------------------------------------------------


def test_people_hook_and_mail_are_told_at_the_same_time(
    sender: Sender,
    clock: Clock,
    trouble: Trouble,
    telegram: Telegram,
    hook: Hook,
    mailbox: Mailbox,
    settings: Settings,
) -> None:
    make_vera()
    make_boris()
    set_rota("boris", "vera", emails=["boris@example.org"])
    settings.ALERT_EMAIL_TO = ["duty@example.org"]
    settings.ALERT_HOOK_SECRET = "a secret of the hook"
    trouble.seen(P1)

    send(sender)

    [message] = telegram.messages(BORIS)
    assert message["text"].startswith("P1 · ")
    assert [[button["text"]] for [button] in message["reply_markup"]["inline_keyboard"]]
    assert telegram.messages(VERA) == []
    [post] = hook.posts
    incident = Incident.objects.get()
    assert (post["severity"], post["cause"], post["reason"]) == ("P1", "payout_stuck:1", "OPENED")
    assert (post["incident"], post["facts"]) == (incident.pk, {"amount": "90"})
    digest = hmac.new(b"a secret of the hook", hook.bodies[0], hashlib.sha256).hexdigest()
    assert hook.headers[0]["X-Alert-Signature"] == f"sha256={digest}"
    assert {mail["To"] for mail in mailbox.mails} == {"boris@example.org", "duty@example.org"}
    assert {mail["Subject"].split(" · ")[0] for mail in mailbox.mails} == {"P1"}
    assert [alert.state for alert in Alert.objects.all()] == ["SENT"] * 4
    assert {alert.sent_at for alert in Alert.objects.all()} == {clock.now}


def test_an_alert_whose_kind_is_no_longer_in_the_code_goes_out(
    sender: Sender, trouble: Trouble, hook: Hook
) -> None:
    trouble.seen(P1)
    Incident.objects.update(kind="of_old")

    send(sender)

    [post] = hook.posts
    assert (post["kind"], post["title"]) == ("of_old", "P1 · of_old")
    assert post["runbook"] == "docs/runbook.md#alarms"


def test_what_is_sent_is_not_sent_again(
    sender: Sender, clock: Clock, trouble: Trouble, hook: Hook
) -> None:
    trouble.seen(P1)
    for _ in range(3):
        send(sender)
        clock.move(minutes=2)

    assert len(hook.posts) == 1


def test_the_gravest_goes_first(sender: Sender, clock: Clock, trouble: Trouble, hook: Hook) -> None:
    trouble.seen(P3, P1, P0)
    for _ in range(3):
        send(sender)

    assert [post["severity"] for post in hook.posts] == ["P0", "P1", "P3"]


def test_a_p3_makes_no_sound(sender: Sender, trouble: Trouble, telegram: Telegram) -> None:
    make_vera()
    make_boris()
    set_rota("vera")
    trouble.seen(P3)
    send(sender)
    set_rota("boris")
    trouble.seen(P3, P1)
    send(sender)

    assert [message["silent"] for message in telegram.messages(VERA)] == [True]
    assert [message["silent"] for message in telegram.messages(BORIS)] == [False]


@pytest.mark.thorough
def test_that_something_is_gone_makes_no_sound(
    sender: Sender, clock: Clock, trouble: Trouble, telegram: Telegram
) -> None:
    make_vera()
    trouble.seen(P1)
    send(sender)
    clock.move(minutes=10)
    trouble.seen()
    send(sender)

    opened, gone = telegram.messages(VERA)
    assert (opened["silent"], gone["silent"]) == (False, True)
    assert gone["text"].startswith("P1 · over · ")


def test_an_acknowledged_one_has_no_button(
    sender: Sender, clock: Clock, trouble: Trouble, telegram: Telegram
) -> None:
    vera = make_vera()
    trouble.seen(P1)
    with transaction.atomic():
        services.acknowledge(incident_id=Incident.objects.get().pk, actor=vera, at=clock())

    send(sender)

    [message] = telegram.messages(VERA)
    assert "reply_markup" not in message
    assert "vera has acknowledged it." in message["text"]


# --- what is dead ---------------------------------------------------------------------------------


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]


@pytest.mark.thorough
def test_a_hook_that_hangs_keeps_nobody_waiting(
    sender: Sender,
    trouble: Trouble,
    telegram: Telegram,
    settings: Settings,
    black_hole: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channels.hook, "LIMIT_S", 1.0)
    settings.ALERT_HOOK_URL = f"http://127.0.0.1:{black_hole}/"
    make_vera()
    trouble.seen(P1)
    sender.send_due()

    wait_until(lambda: telegram.messages(VERA), timeout_s=0.9, what="Vera is told")
    assert states()["OPENED HOOK"] == ("PENDING", 1)

    trouble.seen(P1, P0)  # while it hangs, it is not asked again
    sender.send_due()
    assert Alert.objects.filter(channel="HOOK", attempts__gt=0).count() == 1
    assert sender.wait(limit_s=20)


def test_a_dead_hook_is_tried_again_ever_later_and_then_all_goes_out(
    sender: Sender, clock: Clock, trouble: Trouble, hook: Hook
) -> None:
    hook.status = 500
    trouble.seen(P1)
    waits = []
    for _ in range(9):
        send(sender)
        alert = Alert.objects.get()
        assert (alert.state, alert.error) == ("PENDING", "HTTP 500")
        waits.append((alert.due_at - clock.now).total_seconds())
        clock.now = alert.due_at
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]

    send(sender)
    clock.move(seconds=1)
    hook.status = 200
    trouble.seen(P1, P0)
    send(sender)
    send(sender)  # the channel works: what waited there is due

    assert [(post["severity"], post["attempt"]) for post in hook.posts] == [("P0", 1), ("P1", 11)]
    assert "Sent once more" not in hook.posts[1]["text"]


def test_after_a_day_of_trying_it_is_given_up_and_seen(
    sender: Sender, clock: Clock, trouble: Trouble, hook: Hook
) -> None:
    hook.status = 404
    trouble.seen(P1)
    clock.move(hours=24, seconds=1)
    send(sender)

    alert = Alert.objects.get()
    assert (alert.state, alert.error) == ("FAILED", "HTTP 404")


def test_who_closed_the_chat_is_given_up_at_once_and_others_are_told(
    sender: Sender, trouble: Trouble, telegram: Telegram
) -> None:
    make_vera()
    make_boris()
    telegram.block(VERA)
    trouble.seen(P1)

    send(sender)

    failed = Alert.objects.get(state="FAILED")
    assert failed.error == "403 Forbidden: bot was blocked by the user"
    assert len(telegram.messages(BORIS)) == 1


def test_a_refused_token_is_tried_again_after_a_minute(
    sender: Sender, clock: Clock, trouble: Trouble, telegram: Telegram
) -> None:
    make_vera()
    telegram.fault("sendMessage", code=401)
    trouble.seen(P1)

    send(sender)

    alert = Alert.objects.get()
    assert (alert.state, alert.error) == ("PENDING", "401 Unauthorized")
    assert alert.due_at == clock.now + dt.timedelta(seconds=60)


@pytest.mark.parametrize(
    ("cause", "asked_s", "waits_s"), [(P1, 20, 20), (P1, 3600, 60), (P3, 3600, 300)]
)
def test_a_channel_that_asks_for_an_hour_is_asked_again_long_before(
    sender: Sender,
    clock: Clock,
    trouble: Trouble,
    telegram: Telegram,
    cause: Cause,
    asked_s: int,
    waits_s: int,
) -> None:
    make_vera()
    telegram.fault("sendMessage", code=429, retry_after_s=asked_s)
    trouble.seen(cause)

    send(sender)

    alert = Alert.objects.get()
    assert (alert.state, (alert.due_at - clock.now).total_seconds()) == ("PENDING", waits_s)


def test_mail_that_is_refused_stays_and_says_why(
    sender: Sender, trouble: Trouble, mailbox: Mailbox, settings: Settings
) -> None:
    settings.ALERT_EMAIL_TO = ["gone@example.org", "duty@example.org"]
    mailbox.refused = {"gone@example.org"}
    trouble.seen(P1)

    send(sender)

    assert [mail["To"] for mail in mailbox.mails if mail["To"] == "duty@example.org"]
    alert = Alert.objects.get(state="PENDING")
    assert alert.recipient == "gone@example.org"
    assert alert.error.startswith("gone@example.org was refused: ")


def test_who_is_no_operator_any_more_is_not_told(
    sender: Sender, trouble: Trouble, telegram: Telegram
) -> None:
    make_vera()
    trouble.seen(P1)
    Operator.objects.update(is_active=False)

    send(sender)

    assert Alert.objects.get().state == "FAILED"
    assert telegram.messages(VERA) == []


# --- what nobody knows ----------------------------------------------------------------------------


def test_an_answer_that_is_lost_is_said_again_and_says_so(
    sender: Sender, clock: Clock, trouble: Trouble, telegram: Telegram
) -> None:
    make_vera()
    telegram.fault("sendMessage", executes=True, lost=True)
    trouble.seen(P1)
    send(sender)
    clock.move(seconds=5)
    redis_state().flushdb()  # our own limit of a message a second to a chat

    send(sender)

    first, second = texts(telegram, VERA)
    assert "Sent once more" not in first
    assert second.endswith("Sent once more: it is not known whether this arrived before.")
    assert states() == {"OPENED TELEGRAM": ("SENT", 2)}


def test_what_the_dead_left_in_hand_goes_out_when_its_lease_is_over(
    sender: Sender, clock: Clock, trouble: Trouble, hook: Hook
) -> None:
    trouble.seen(P1)
    alerts.lease(but=(), at=clock())  # and whoever took it dies

    send(sender)
    assert hook.posts == []
    clock.move(seconds=60)
    send(sender)

    [post] = hook.posts
    assert post["attempt"] == 2
    assert post["text"].endswith("Sent once more: it is not known whether this arrived before.")


def test_two_watches_send_it_once(
    clock: Clock, trouble: Trouble, hook: Hook, committed_db: Clone
) -> None:
    trouble.seen(P0, P1, P3)
    senders = [Sender(clock) for _ in range(4)]
    for _ in range(4):
        for sender in senders:
            sender.send_due()
        for sender in senders:
            assert sender.wait(limit_s=20)

    assert sorted(post["severity"] for post in hook.posts) == ["P0", "P1", "P3"]


def test_what_could_not_be_recorded_is_recorded_later_and_not_sent_again(
    sender: Sender, clock: Clock, trouble: Trouble, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL goes away between the call and the record."""
    trouble.seen(P1)
    record = alerts.record

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("PostgreSQL is away")

    monkeypatch.setattr(alerts, "record", fail)
    sender.send_due()
    sender.wait(limit_s=20)
    monkeypatch.setattr(alerts, "record", record)
    clock.move(seconds=61)

    send(sender)

    assert len(hook.posts) == 1
    assert states() == {"OPENED HOOK": ("SENT", 1)}


def test_one_answer_that_cannot_be_recorded_stops_no_other_alert(
    sender: Sender, clock: Clock, trouble: Trouble, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = alerts.record

    def fail(alert: Alert, outcome: alerts.Outcome, *, at: dt.datetime) -> None:
        if alert.incident.cause == "payout_stuck:1":
            raise ZeroDivisionError("a bug")
        record(alert, outcome, at=at)

    monkeypatch.setattr(alerts, "record", fail)
    trouble.seen(P1)
    send(sender)
    trouble.seen(P1, P0)
    send(sender)

    assert [post["severity"] for post in hook.posts] == ["P1", "P0"]
    assert Alert.objects.get(incident__severity="P0").state == "SENT"


def test_what_a_channel_answers_is_kept_whatever_letters_it_has(
    sender: Sender, trouble: Trouble, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise channels.NotDelivered("bad \0 gate\ud800way")

    monkeypatch.setattr(channels.hook, "deliver", refuse)
    trouble.seen(P1)
    send(sender)

    alert = Alert.objects.get()
    assert (alert.state, alert.attempts, alert.error) == ("PENDING", 1, "bad  gate?way")
