"""The back office shows messages and changes none."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import Operator
from advertmarket.messaging.models import DeadLetter, OutboxMessage, ProcessedEvent
from advertmarket.messaging.outbox import publish
from tests.advertmarket.messaging.app import Noted

pytestmark = pytest.mark.django_db

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def operator_client(client: Client) -> Client:
    client.force_login(Operator.objects.create_superuser("ann", password="correct horse"))
    return client


def page(client: Client, model: str, pk: int | None) -> str:
    name = f"admin:messaging_{model}_{'change' if pk else 'changelist'}"
    response = client.get(reverse(name, args=[pk] if pk else []))
    assert response.status_code == 200
    return response.content.decode()


def test_outbox_rows_are_shown(operator_client: Client) -> None:
    with transaction.atomic():
        publish(Noted(deal_id=uuid.UUID(int=7), number=3), key="noted:7", at=AT)
    row = OutboxMessage.objects.get()
    assert "TEST_NOTED" in page(operator_client, "outboxmessage", None)
    assert "noted:7" in page(operator_client, "outboxmessage", row.pk)


def test_dead_letters_are_shown_with_their_bytes(operator_client: Client) -> None:
    letter = DeadLetter.objects.create(
        group="cg-deals",
        topic="deal.events",
        partition=1,
        offset=5,
        written_at=AT,
        body=b"\xff poison <b>",
        headers=[],
        error="Forged: no signature",
        created_at=AT,
    )
    assert "Forged: no signature" in page(operator_client, "deadletter", None)
    assert "\\xff poison &lt;b&gt;" in page(operator_client, "deadletter", letter.pk)


def test_nothing_can_be_changed(operator_client: Client) -> None:
    row = ProcessedEvent.objects.create(group="cg", event_id=uuid.UUID(int=1), processed_at=AT)
    assert str(row.event_id) in page(operator_client, "processedevent", None)
    for action in ("change", "delete"):
        url = reverse(f"admin:messaging_processedevent_{action}", args=[row.pk])
        assert operator_client.post(url, {"post": "yes"}).status_code == 403
    assert ProcessedEvent.objects.count() == 1


def test_a_deals_events_are_found_by_indexes() -> None:
    found, _ = admin.site._registry[OutboxMessage].get_search_results(
        RequestFactory().get("/"), OutboxMessage.objects.all(), str(uuid.UUID(int=7))
    )
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")  # the table is empty

    assert "Seq Scan" not in found.explain()
