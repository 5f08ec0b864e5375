"""The button's whole way: the alert in Telegram, the press, the webhook, the worker, the answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from pytest_django import Settings

from advertmarket.telegram import tasks
from advertmarket.telegram.models import Update
from ops.incidents import clocks
from ops.incidents.causes import Cause
from ops.incidents.sending import Sender
from ops.models import Alert, Incident
from sandbox.telegram.control import Press, Telegram
from tests.database import Clone
from tests.local_web import local_web
from tests.ops.incidents.conftest import BORIS, VERA, Clock, Trouble, make_boris, make_vera, name_of
from tests.waiting import wait_until


@pytest.fixture
def registered(committed_db: Clone, telegram: Telegram, settings: Settings) -> Iterator[None]:
    """Telegram brings updates to our web server."""
    with local_web(settings):
        call_command("register_webhook")
        yield


def tell(clock: Clock) -> None:
    """Have the alerts that are due go out."""
    sender = Sender(clock)
    sender.send_due()
    assert sender.wait(limit_s=20)


def press(telegram: Telegram, user_id: int, button: str) -> Press:
    """Press a button of the last message of a chat; the worker handles what comes of it."""
    before = Update.objects.count()

    def work() -> None:
        wait_until(lambda: Update.objects.count() > before, what="the webhook's call")
        tasks.handle_updates()
        tasks.send_messages()

    worker = threading.Thread(target=work)
    worker.start()
    pressed = telegram.press(user_id, telegram.messages(user_id)[-1]["message_id"], button)
    worker.join()
    return pressed


@pytest.mark.usefixtures("registered")
def test_a_press_under_an_alert_acknowledges(
    telegram: Telegram, clock: Clock, trouble: Trouble
) -> None:
    vera = make_vera()
    make_boris()
    trouble.seen(Cause("payout_stuck", key="1", facts={"amount": "90"}))
    tell(clock)
    told = Alert.objects.count()

    pressed = press(telegram, VERA, "Acknowledge")

    incident = Incident.objects.get()
    assert pressed.answer is not None  # the button does not go on turning
    assert incident.acknowledged_by is not None
    assert incident.acknowledged_by.username == name_of(vera)
    assert telegram.messages(VERA)[-1]["text"] == f"Incident {incident.pk}: it is yours."
    assert len(telegram.messages(BORIS)) == 1  # the alert
    clock.move(hours=2)
    clocks.ring(at=clock())
    assert Alert.objects.count() == told
