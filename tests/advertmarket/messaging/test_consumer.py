"""What a group does with what it reads."""

from __future__ import annotations

import uuid

import pytest

from advertmarket.messaging.models import DeadLetter, ProcessedEvent
from advertmarket.messaging.relay import relay
from advertmarket.messaging.topics import Topic
from tests.advertmarket.messaging.app import say
from tests.advertmarket.messaging.harness import effects, working
from tests.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")


def test_an_event_reaches_its_handler(topic: Topic, group: str) -> None:
    deal_id = uuid.uuid4()
    say(deal_id, 1)
    relay()

    with working(group):
        wait_until(effects)

    assert effects() == [(deal_id, 1)]
    assert ProcessedEvent.objects.filter(group=group).count() == 1
    assert not DeadLetter.objects.exists()
