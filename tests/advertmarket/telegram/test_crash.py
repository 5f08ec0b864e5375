"""A sender killed between the call and the record: once more, never lost, never twice more."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.telegram import outgoing
from advertmarket.telegram.models import OutgoingMessage
from sandbox.process import Child
from sandbox.telegram.control import Telegram
from tests.advertmarket.telegram.conftest import ANNA, Clock
from tests.database import Clone
from tests.waiting import wait_until

pytestmark = pytest.mark.thorough

_SEND = """
import os
from tests import environment
for name, value in environment.VARIABLES.items():
    os.environ.setdefault(name, value)
import django
django.setup()
from django.utils import timezone
from advertmarket.telegram import outgoing
outgoing.send_due(clock=timezone.now)
"""


@pytest.mark.parametrize("executes", [True, False])
def test_killed_between_call_and_record(
    committed_db: Clone, telegram: Telegram, clock: Clock, tmp_path: Path, executes: bool
) -> None:
    with transaction.atomic():
        pk = outgoing.say(chat_id=ANNA, text="your payout", about_money=True, at=clock())
    telegram.fault("sendMessage", executes=executes, delay_ms=30_000, lost=True)
    child = Child(
        "sender",
        [sys.executable, "-c", _SEND],
        log=tmp_path / "sender.log",
        env={**committed_db.env, "TELEGRAM_API_URL": telegram.url},
    )
    wait_until(lambda: not telegram.state()["faults"], what="the call", timeout_s=30)
    if executes:
        wait_until(lambda: telegram.messages(ANNA), what="the message")
    child.kill()

    outgoing.send_due(clock=timezone.now)
    assert OutgoingMessage.objects.get(pk=pk).state == "PENDING"  # still the dead one's

    outgoing.send_due(clock=lambda: timezone.now() + timedelta(seconds=61))
    outgoing.send_due(clock=lambda: timezone.now() + timedelta(seconds=180))

    row = OutgoingMessage.objects.get(pk=pk)
    assert (row.state, row.attempts) == ("SENT", 2)
    assert len(telegram.messages(ANNA)) == (2 if executes else 1)
