"""Kafka loses a fact after it confirmed it and before notifications read it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from advertmarket.messaging import kafka, redelivery, relay
from advertmarket.messaging.models import OutboxMessage
from advertmarket.messaging.topics import TOPICS
from notifications.consumers import GROUP
from notifications.models import Delivery
from sandbox.services import Services
from tests.advertmarket.messaging.harness import statuses, working
from tests.notifications.life import OLEG, begin, heard
from tests.waiting import wait_until

pytestmark = pytest.mark.thorough


@pytest.mark.usefixtures("committed_db")
def test_a_notice_whose_record_was_lost_is_made_once(
    own_broker: Services, settings: Settings
) -> None:
    settings.KAFKA_SESSION_TIMEOUT_S = 2
    kafka.create_topics(TOPICS)
    begin()
    relay.relay()
    assert set(statuses()) == {"DELIVERED"}
    own_broker.kill("kafka")
    own_broker.restart("kafka")
    kafka.create_topics(TOPICS)

    with working(GROUP):
        redelivery.redeliver(at=timezone.now() + timedelta(seconds=redelivery.CHECK_AFTER_S))
        assert set(statuses()) == {"PENDING"}
        wait_until(relayed, 20)
        wait_until(lambda: heard(OLEG), 20)

    OutboxMessage.objects.update(status="PENDING", delivered_at=None)
    relay.relay()
    with working(GROUP) as worker:
        wait_until(lambda: worker._last_message_at)
    assert Delivery.objects.count() == len(heard(OLEG)) == 1


def relayed() -> bool:
    relay.relay()
    return set(statuses()) == {"DELIVERED"}
