"""What becomes of a message for every answer of Telegram's."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from accounts.models import TelegramUser
from accounts.services import get_or_create_user
from advertmarket.db import NoDatabaseTransaction
from advertmarket.state import redis_state
from advertmarket.telegram import outgoing
from advertmarket.telegram.content import Button
from advertmarket.telegram.models import OutgoingMessage
from advertmarket.telegram.queue import hold, lease
from sandbox.telegram.control import Telegram
from tests.advertmarket.telegram.conftest import ANNA, OLEG, Clock
from tests.samples import Since

pytestmark = pytest.mark.usefixtures("committed_db", "telegram")
DELAY = "notification_delay_seconds"


@pytest.fixture(autouse=True)
def _anna_is_known(committed_db: object, clock: Clock) -> None:
    with transaction.atomic():
        get_or_create_user(
            user_id=ANNA, first_name="Anna", username="anna", language_code="ru", at=clock()
        )


def say(text: str, clock: Clock, *, chat_id: int = ANNA, about_money: bool = False) -> int:
    with transaction.atomic():
        return outgoing.say(chat_id=chat_id, text=text, about_money=about_money, at=clock())


def texts(telegram: Telegram, chat_id: int = ANNA) -> list[str]:
    return [message["text"] for message in telegram.messages(chat_id)]


def test_message_and_buttons_arrive_and_are_recorded(telegram: Telegram, clock: Clock) -> None:
    with transaction.atomic():
        pk = outgoing.say(
            chat_id=ANNA,
            text="<b>hello</b>",
            buttons=((Button("Yes", callback_data="yes:1"),),),
            at=clock(),
        )

    outgoing.send_due(clock=clock)

    [sent] = telegram.messages(ANNA)
    assert sent["text"] == "hello"
    assert sent["reply_markup"]["inline_keyboard"] == [[{"text": "Yes", "callback_data": "yes:1"}]]
    row = OutgoingMessage.objects.get(pk=pk)
    assert (row.state, row.message_id, row.sent_at) == ("SENT", sent["message_id"], clock())


def test_nothing_is_said_outside_a_database_transaction(clock: Clock) -> None:
    with pytest.raises(NoDatabaseTransaction):
        outgoing.say(chat_id=ANNA, text="hello", at=clock())

    assert OutgoingMessage.objects.count() == 0


@pytest.mark.thorough
def test_messages_of_a_chat_keep_their_order(telegram: Telegram, clock: Clock) -> None:
    for number in range(3):
        say(str(number), clock)

    outgoing.send_due(clock=clock)

    assert texts(telegram) == ["0", "1", "2"]


@pytest.mark.thorough
def test_message_that_waits_holds_its_chat_and_no_other(telegram: Telegram, clock: Clock) -> None:
    telegram.fault("sendMessage", chat_id=ANNA, code=502)
    say("first", clock)
    say("second", clock)
    say("other", clock, chat_id=OLEG)

    outgoing.send_due(clock=clock)
    assert (texts(telegram), texts(telegram, OLEG)) == ([], ["other"])

    clock.move(seconds=2)
    outgoing.send_due(clock=clock)
    assert texts(telegram) == ["first", "second"]


def test_429_is_waited_for(telegram: Telegram, clock: Clock) -> None:
    telegram.fault("sendMessage", code=429, retry_after_s=1)
    pk = say("hello", clock)

    outgoing.send_due(clock=clock)

    row = OutgoingMessage.objects.get(pk=pk)
    assert (row.state, (row.due_at - clock()).total_seconds()) == ("PENDING", 1)
    assert texts(telegram) == []


def test_person_who_blocked_the_bot_is_unreachable_and_money_waits(
    telegram: Telegram, clock: Clock
) -> None:
    telegram.block(ANNA)
    say("hello", clock)
    say("your payout", clock, about_money=True)

    outgoing.send_due(clock=clock)

    assert set(OutgoingMessage.objects.values_list("state", flat=True)) == {"UNREACHABLE"}
    assert TelegramUser.objects.get(id=ANNA).unreachable_at == clock()

    telegram.unblock(ANNA)
    with transaction.atomic():
        outgoing.release(chat_id=ANNA, at=clock())
    outgoing.send_due(clock=clock)

    assert texts(telegram) == ["your payout"]


def test_channel_that_refuses_makes_nobody_unreachable(telegram: Telegram, clock: Clock) -> None:
    channel = telegram.create_channel("News", creator_id=OLEG)
    pk = say("post", clock, chat_id=channel)

    outgoing.send_due(clock=clock)

    row = OutgoingMessage.objects.get(pk=pk)
    assert row.state == "FAILED"
    assert row.error.startswith("403 Forbidden: ")
    assert TelegramUser.objects.get(id=ANNA).unreachable_at is None


def test_bad_request_fails_at_once_with_the_reason_and_lets_the_next_go(
    telegram: Telegram, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    pk = say("<b", clock)
    say("next", clock)

    with caplog.at_level(logging.ERROR, "advertmarket.telegram.outgoing"):
        outgoing.send_due(clock=clock)

    row = OutgoingMessage.objects.get(pk=pk)
    assert (row.state, row.attempts) == ("FAILED", 1)
    assert row.error.startswith("400 Bad Request: can't parse entities")
    assert "a message was not delivered" in caplog.text
    assert texts(telegram) == ["next"]


def test_refused_token_stops_all_sending_and_loses_nothing(
    telegram: Telegram, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    telegram.fault("sendMessage", times=2, code=401)
    for chat_id in (ANNA, OLEG):
        say("hello", clock, chat_id=chat_id)

    outgoing.send_due(clock=clock)

    assert "all sending has stopped" in caplog.text
    assert texts(telegram) == texts(telegram, OLEG) == []
    states = OutgoingMessage.objects.values_list("state", "due_at")
    assert set(states) == {("PENDING", clock() + timedelta(seconds=60))}

    clock.move(hours=30)
    telegram.clear_faults()
    redis_state().flushdb()  # a minute has passed there
    outgoing.send_due(clock=clock)
    assert texts(telegram) == texts(telegram, OLEG) == ["hello"]


@pytest.mark.parametrize(("about_money", "state"), [(False, "FAILED"), (True, "PENDING")])
def test_only_money_outlives_a_day_without_telegram(
    telegram: Telegram, clock: Clock, about_money: bool, state: str
) -> None:
    pk = say("hello", clock, about_money=about_money)
    clock.move(hours=25)
    telegram.fault("sendMessage", code=500)

    outgoing.send_due(clock=clock)

    assert OutgoingMessage.objects.get(pk=pk).state == state


def test_whoever_lost_the_lease_records_nothing(telegram: Telegram, clock: Clock) -> None:
    pk = say("hello", clock)
    [mine] = lease(OutgoingMessage, at_most=8, lease_time=outgoing.LEASE, at=clock())
    assert lease(OutgoingMessage, at_most=8, lease_time=outgoing.LEASE, at=clock()) == []

    clock.move(seconds=61)
    outgoing.send_due(clock=clock)
    sent_at = OutgoingMessage.objects.get(pk=pk).sent_at
    clock.move(seconds=1)
    with transaction.atomic():
        assert hold(mine) is None

    assert OutgoingMessage.objects.get(pk=pk).sent_at == sent_at
    assert texts(telegram) == ["hello"]


def test_several_workers_send_each_message_once(telegram: Telegram, clock: Clock) -> None:
    people = range(5001, 5013)
    for user_id in people:
        telegram.create_user(user_id, "Someone", started=True)
        say("hello", clock, chat_id=user_id)

    def send() -> None:
        outgoing.send_due(clock=clock)
        connection.close()

    workers = [threading.Thread(target=send) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert [texts(telegram, user_id) for user_id in people] == [["hello"]] * 12
    assert set(OutgoingMessage.objects.values_list("state", "attempts")) == {("SENT", 1)}


@pytest.mark.thorough
def test_messages_are_kept_for_30_days_and_those_about_money_that_were_not_sent_for_90(
    telegram: Telegram, clock: Clock
) -> None:
    def forget() -> int:
        with transaction.atomic():
            return outgoing.forget_old(at=clock())

    def unsent(state: str) -> list[str]:
        return list(OutgoingMessage.objects.filter(state=state).values_list("text", flat=True))

    for about_money in (False, True):
        say("sent", clock, about_money=about_money)
        say(f"<b{about_money}", clock, about_money=about_money)
        say(f"closed {about_money}", clock, chat_id=OLEG, about_money=about_money)
    telegram.block(OLEG)
    outgoing.send_due(clock=clock)
    assert texts(telegram) == ["sent", "sent"]

    clock.move(days=29)
    assert forget() == 0
    telegram.fault("sendMessage", times=1, code=500)
    say("pending", clock, about_money=True)
    clock.move(days=2)
    outgoing.send_due(clock=clock)

    assert forget() == 4
    assert (unsent("FAILED"), unsent("UNREACHABLE")) == (["<bTrue"], ["closed True"])

    clock.move(days=58)
    assert forget() == 0
    clock.move(days=2)
    assert forget() == 2
    assert unsent("PENDING") == ["pending"]


def test_message_that_cannot_be_read_keeps_no_other_one_waiting(
    telegram: Telegram, clock: Clock
) -> None:
    broken = say("broken", clock, chat_id=OLEG)
    OutgoingMessage.objects.filter(pk=broken).update(buttons=[[{"unknown": "form"}]])
    say("hello", clock)

    outgoing.send_due(clock=clock)
    outgoing.send_due(clock=clock)

    assert texts(telegram) == ["hello"]
    row = OutgoingMessage.objects.get(pk=broken)
    assert (row.state, row.error[:17]) == ("FAILED", "400 not sendable:")


def test_how_late_a_notice_is_counts_from_its_event(telegram: Telegram, clock: Clock) -> None:
    since = Since()
    with transaction.atomic():
        outgoing.say(chat_id=ANNA, text="notice", wanted_at=clock(), at=clock())
    say("an answer is not measured", clock)

    clock.move(seconds=4)
    outgoing.send_due(clock=clock)

    assert texts(telegram) == ["notice", "an answer is not measured"]
    assert (since(f"{DELAY}_count"), since(f"{DELAY}_sum")) == (1, 4)


def test_the_time_for_which_a_person_was_away_is_not_counted(
    telegram: Telegram, clock: Clock
) -> None:
    since = Since()
    with transaction.atomic():
        outgoing.say(
            chat_id=ANNA,
            text="your payout",
            about_money=True,
            is_reachable=False,
            wanted_at=clock(),
            at=clock(),
        )
    clock.move(hours=5)
    with transaction.atomic():
        outgoing.release(chat_id=ANNA, at=clock())

    clock.move(seconds=1)
    outgoing.send_due(clock=clock)

    assert texts(telegram) == ["your payout"]
    assert (since(f"{DELAY}_count"), since(f"{DELAY}_sum")) == (1, 1)


def test_attempts_are_counted_by_what_telegram_said(telegram: Telegram, clock: Clock) -> None:
    since = Since()
    telegram.create_user(1003, "Ivan", started=True)
    telegram.block(OLEG)
    telegram.fault("sendMessage", chat_id=ANNA, code=429, retry_after_s=1)
    for chat_id in (ANNA, OLEG, 1003):
        say("hello", clock, chat_id=chat_id)

    outgoing.send_due(clock=clock)

    outcomes = ("ok", "Forbidden", "TooManyRequests", "BadRequest")
    assert [since("telegram_messages_total", outcome=one) for one in outcomes] == [1, 1, 1, 0]
    assert since("telegram_call_duration_seconds_count", method="send_message") == 3
