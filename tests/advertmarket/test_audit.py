"""The audit log: written with what is done, and never again touched."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, connection, transaction

from advertmarket import correlation, origin
from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.audit.models import AuditEntry
from advertmarket.db import NoDatabaseTransaction

AT = datetime(2026, 1, 1, tzinfo=UTC)
OLGA = Actor.operator(3)

pytestmark = pytest.mark.django_db


def record(actor: Actor = OLGA) -> None:
    audit.record(
        actor=actor,
        action="pause",
        object_type="payouts",
        object_id="all",
        before={"paused": False},
        after={"paused": True, "until": AT},
        reason="drill",
        at=AT,
    )


def test_what_is_done_is_written_down_with_its_correlation() -> None:
    with (
        correlation.bind(uuid.uuid4()) as correlation_id,
        origin.bind("10.0.0.1"),
        transaction.atomic(),
    ):
        record()

    entry = AuditEntry.objects.get()
    assert (entry.actor_kind, entry.actor_id, entry.action, entry.reason) == (
        "operator",
        "3",
        "pause",
        "drill",
    )
    assert entry.before == {"paused": False}
    assert entry.after == {"paused": True, "until": "2026-01-01T00:00:00Z"}
    assert (entry.at, entry.ip_address) == (AT, "10.0.0.1")
    assert entry.correlation_id == correlation_id


def test_where_a_user_was_is_not_kept_for_ever() -> None:
    with origin.bind("10.0.0.1"), transaction.atomic():
        record(Actor.user(3))

    assert AuditEntry.objects.get().ip_address is None


def test_outside_a_database_transaction_nothing_is_written() -> None:
    with pytest.raises(NoDatabaseTransaction):
        record()

    assert not AuditEntry.objects.exists()


def test_what_is_rolled_back_leaves_no_entry() -> None:
    with transaction.atomic():
        record()
        transaction.set_rollback(True)

    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET reason = 'other'",
        "UPDATE audit_log SET reason = 'other' WHERE false",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
    ],
)
def test_the_database_refuses_to_change_it(statement: str) -> None:
    with transaction.atomic():
        record()

    with (
        pytest.raises(IntegrityError, match="audit_log is append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert AuditEntry.objects.get().reason == "drill"
