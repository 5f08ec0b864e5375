"""What Kafka loses after it confirmed it, and what it did not lose."""

from __future__ import annotations

import logging
import uuid
from collections import Counter
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from advertmarket.messaging import kafka, redelivery, relay
from advertmarket.messaging.models import DeadLetter, OutboxMessage
from advertmarket.messaging.topics import Topic
from sandbox.services import Services
from tests.advertmarket.messaging import app
from tests.advertmarket.messaging.app import say
from tests.advertmarket.messaging.harness import (
    effects,
    numbers,
    records,
    statuses,
    working,
)
from tests.samples import Since
from tests.waiting import wait_until

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.thorough]

SETTLED = ("DELIVERED", None)


def later(seconds: float = 31) -> datetime:
    return timezone.now() + timedelta(seconds=seconds)


def redelivered() -> list[int]:
    """Return how often each row was, in order."""
    return list(OutboxMessage.objects.order_by("id").values_list("redeliveries", flat=True))


def checks() -> set[tuple[str, datetime | None]]:
    return set(OutboxMessage.objects.values_list("status", "check_at"))


def emptied(broker: Services, topic: Topic) -> None:
    """Have the broker lose all it had, offsets of groups included."""
    broker.kill("kafka")
    broker.restart("kafka")
    kafka.create_topics([topic])


def relayed() -> bool:
    relay.relay()
    return set(statuses()) == {"DELIVERED"}


def test_what_an_emptied_broker_lost_is_handled_once(
    own_broker: Services, topic: Topic, group: str
) -> None:
    deal_id = uuid.uuid4()
    say(deal_id, 1)
    say(deal_id, 2)
    relay.relay()
    emptied(own_broker, topic)
    assert records(topic.name) == []

    redelivery.redeliver(at=later())
    assert statuses() == ["PENDING", "PENDING"]
    wait_until(relayed, 20)
    with working(group):
        wait_until(lambda: len(effects()) == 2, 20)
        say(deal_id, 3)
        relay.relay()
        wait_until(lambda: len(effects()) == 3)

    assert effects() == [(deal_id, 1), (deal_id, 2), (deal_id, 3)]
    redelivery.redeliver(at=later(3600))
    assert checks() == {SETTLED}
    assert redelivered() == [1, 1, 0]


def test_a_consumer_that_lives_through_it_handles_all(
    own_broker: Services, topic: Topic, group: str
) -> None:
    deal_id = uuid.uuid4()
    with working(group):
        say(deal_id, 1)
        relay.relay()
        wait_until(effects, 20)
        emptied(own_broker, topic)
        say(deal_id, 2)
        wait_until(relayed, 20)

        def handled() -> bool:
            redelivery.redeliver(at=later(3600))
            relay.relay()
            return len(effects()) == 2

        wait_until(handled, 30)

    assert effects() == [(deal_id, 1), (deal_id, 2)]


def test_what_is_handled_is_settled_and_not_sent_again(topic: Topic, group: str) -> None:
    for number in range(3):
        say(uuid.uuid4(), number)
    relay.relay()
    with working(group):
        wait_until(lambda: len(effects()) == 3)

    redelivery.redeliver(at=later())

    assert checks() == {SETTLED}
    assert redelivered() == [0, 0, 0]
    assert len(records(topic.name)) == 3


def test_what_is_set_aside_is_not_sent_again(topic: Topic, group: str) -> None:
    say(uuid.uuid4(), 1, "refuse")
    relay.relay()
    with working(group):
        wait_until(DeadLetter.objects.exists)

    redelivery.redeliver(at=later())

    assert checks() == {SETTLED}
    assert DeadLetter.objects.get().event_id == OutboxMessage.objects.get().event_id
    assert len(records(topic.name)) == 1


def test_a_forged_record_does_not_stand_for_the_event(
    own_broker: Services, topic: Topic, group: str
) -> None:
    deal_id = uuid.uuid4()
    say(deal_id, 1)
    relay.relay()
    (genuine,) = records(topic.name)
    emptied(own_broker, topic)
    forged = kafka.Outgoing(topic.name, genuine.key or b"", genuine.body or b"", headers=[])
    assert kafka.Sender().send([forged], timeout_s=10).confirmed == {0}

    with working(group):
        wait_until(DeadLetter.objects.exists, 20)
        redelivery.redeliver(at=later())
        wait_until(relayed, 20)
        wait_until(effects)

    assert effects() == [(deal_id, 1)]
    assert DeadLetter.objects.get().event_id is None


def test_one_group_that_missed_it_is_enough_and_the_other_does_nothing_twice(
    topic: Topic, group: str
) -> None:
    deal_id = uuid.uuid4()
    say(deal_id, 1)
    say(deal_id, 2, "refuse")
    relay.relay()
    with working(group):
        wait_until(DeadLetter.objects.exists)
        app.join(f"{group}-late")
        redelivery.redeliver(at=later())
        assert statuses() == ["PENDING", "PENDING"]
        say(deal_id, 3)
        relay.relay()
        wait_until(lambda: (deal_id, 3) in effects())

    assert effects() == [(deal_id, 1), (deal_id, 3)]
    assert DeadLetter.objects.count() == 1


def test_what_nobody_handles_is_not_waited_for(topic: Topic) -> None:
    say(uuid.uuid4(), 1)
    relay.relay()

    redelivery.redeliver(at=later())

    assert checks() == {SETTLED}
    assert len(records(topic.name)) == 1


def test_a_group_that_lags_is_sent_ever_less_and_at_last_nothing(
    topic: Topic, group: str, caplog: pytest.LogCaptureFixture
) -> None:
    deal_id = uuid.uuid4()
    say(deal_id, 1)
    waits = []
    for _ in range(redelivery.REDELIVERIES_MAX + 1):
        relay.relay()
        row = OutboxMessage.objects.get()
        assert row.check_at
        assert row.delivered_at
        waits.append((row.check_at - row.delivered_at).total_seconds())
        redelivery.redeliver(at=row.check_at - timedelta(milliseconds=1))
        assert statuses() == ["DELIVERED"]
        redelivery.redeliver(at=row.check_at)

    assert waits == [30.0 * 2**number for number in range(13)]
    assert checks() == {SETTLED}
    assert len(numbers(topic.name, deal_id)) == 13
    assert [r.message for r in caplog.records if r.levelno == logging.CRITICAL] == [
        f"never handled, given up: outbox rows [{row.pk}]"
    ]


def test_a_lane_keeps_its_order(topic: Topic, group: str) -> None:
    deal_id, other = uuid.uuid4(), uuid.uuid4()
    say(deal_id, 1)
    relay.relay()
    redelivery.redeliver(at=later())
    relay.relay()
    say(deal_id, 2)
    relay.relay()
    say(deal_id, 3)
    say(other, 1)

    redelivery.redeliver(at=later())  # 2 is due, 1 is not
    assert redelivered() == [2, 1, 0, 0]
    relay.relay()

    assert numbers(topic.name, deal_id) == [1, 1, 2, 1, 2, 3]
    assert numbers(topic.name, other) == [1]


def test_a_run_sends_a_batch_again_and_settles_many(
    topic: Topic, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "BATCH_SIZE", 3)
    for number in range(8):
        say(uuid.uuid4(), number)
    relay.relay()

    since = Since()
    redelivery.redeliver(at=later())
    assert Counter(statuses()) == {"PENDING": 3, "DELIVERED": 5}
    assert since("outbox_records_total", outcome="again") == 3
    redelivery.redeliver(at=later())
    assert Counter(statuses()) == {"PENDING": 6, "DELIVERED": 2}

    relay.relay()
    with working(group):
        wait_until(lambda: len(effects()) == 8)
    redelivery.redeliver(at=later(3600))
    assert checks() == {SETTLED}
