"""Events are rows, written with what caused them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from django.db import transaction

from advertmarket import correlation
from advertmarket.db import NoDatabaseTransaction
from advertmarket.messaging.events import Event
from advertmarket.messaging.models import OutboxMessage
from advertmarket.messaging.outbox import KeyReused, publish
from advertmarket.messaging.topics import DEAL_EVENTS
from tests.advertmarket.messaging.app import Noted

pytestmark = pytest.mark.django_db

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
DEAL_ID = uuid.UUID(int=7)


def test_an_event_is_a_pending_row() -> None:
    with transaction.atomic(), correlation.bind(uuid.UUID(int=9)):
        publish(Noted(deal_id=DEAL_ID, number=3), key="deal:7:noted", at=AT)

    row = OutboxMessage.objects.get()
    assert (row.topic, row.key, row.event_type, row.version) == (
        *(Noted.TOPIC.name, DEAL_ID, "TEST_NOTED", 1),
    )
    assert row.payload == {"number": 3, "wish": "note"}
    assert (row.idempotency_key, row.correlation_id) == ("deal:7:noted", uuid.UUID(int=9))
    assert (row.status, row.attempts, row.error) == ("PENDING", 0, "")
    assert (row.created_at, row.delivered_at) == (AT, None)


def test_the_same_fact_twice_is_one_row() -> None:
    with transaction.atomic():
        publish(Noted(deal_id=DEAL_ID, number=3), key="k", at=AT)
        publish(Noted(deal_id=DEAL_ID, number=3), key="k", at=AT.replace(year=2031))

    assert OutboxMessage.objects.get().created_at == AT


@pytest.mark.parametrize(
    "other", [Noted(deal_id=DEAL_ID, number=4), Noted(deal_id=uuid.UUID(int=8), number=3)]
)
def test_a_key_stands_for_one_fact(other: Noted) -> None:
    with transaction.atomic():
        publish(Noted(deal_id=DEAL_ID, number=3), key="k", at=AT)
        with pytest.raises(KeyReused):
            publish(other, key="k", at=AT)

    assert OutboxMessage.objects.get().payload["number"] == 3


def test_a_fact_keeps_its_event_id_after_its_row_is_gone() -> None:
    with transaction.atomic():
        publish(Noted(deal_id=DEAL_ID, number=3), key="k", at=AT)
    first = OutboxMessage.objects.get()
    first.delete()

    with transaction.atomic():
        publish(Noted(deal_id=DEAL_ID, number=3), key="k", at=AT)
    assert OutboxMessage.objects.get().event_id == first.event_id


def test_outside_a_database_transaction_nothing_is_published() -> None:
    with pytest.raises(NoDatabaseTransaction):
        publish(Noted(deal_id=DEAL_ID, number=3), key="k", at=AT)
    assert not OutboxMessage.objects.exists()


def test_a_class_that_is_not_registered_is_refused() -> None:
    class Stray(Event):
        TYPE = "STRAY"
        TOPIC = DEAL_EVENTS

    with transaction.atomic(), pytest.raises(TypeError, match="not registered"):
        publish(Stray(deal_id=DEAL_ID), key="k", at=AT)
    assert not OutboxMessage.objects.exists()
