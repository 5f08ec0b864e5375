"""What people do about an incident, and who may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import translation

from accounts.models import Operator
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from advertmarket.db import NoDatabaseTransaction
from advertmarket.errors import DomainError
from ops.incidents import services
from ops.incidents.causes import Cause
from ops.incidents.rota import NoSuchPerson
from ops.models import Incident, IncidentEntry
from tests.ops.incidents.conftest import Clock, Trouble, make_boris, make_vera

pytestmark = pytest.mark.django_db

CAUSE = Cause("payout_stuck", key="1", facts={"amount": "90"})


@pytest.fixture
def incident(trouble: Trouble, clock: Clock) -> Incident:
    """One that was seen a minute ago."""
    trouble.seen(CAUSE)
    clock.move(minutes=1)
    return Incident.objects.get()


@contextmanager
def refused(error: type[DomainError], text: str) -> Iterator[None]:
    """What is done is refused with these words, and has changed nothing."""

    def everything() -> list[object]:
        return [
            list(Incident.objects.order_by("pk").values()),
            IncidentEntry.objects.count(),
            AuditEntry.objects.count(),
        ]

    before = everything()
    with pytest.raises(error) as refusal, transaction.atomic():
        yield
    with translation.override("en"):
        assert str(refusal.value) == text
    assert everything() == before


def acknowledge(incident: Incident, actor: Actor, clock: Clock) -> Incident:
    with transaction.atomic():
        return services.acknowledge(incident_id=incident.pk, actor=actor, at=clock())


def resolve(incident: Incident, actor: Actor, clock: Clock, note: str = "paid") -> Incident:
    with transaction.atomic():
        return services.resolve(incident_id=incident.pk, note=note, actor=actor, at=clock())


def test_whoever_acknowledges_answers_for_it(incident: Incident, clock: Clock) -> None:
    vera = make_vera()

    acknowledge(incident, vera, clock)

    incident.refresh_from_db()
    operator = Operator.objects.get(username="vera")
    assert (incident.acknowledged_by, incident.assignee) == (operator, operator)
    assert incident.acknowledged_at == clock.now
    entry = IncidentEntry.objects.get(what="ACKNOWLEDGED")
    assert (entry.actor, entry.at) == (str(vera), clock.now)
    audited = AuditEntry.objects.get(action="incident.acknowledged")
    assert (audited.actor_kind, audited.actor_id) == ("operator", vera.id)
    assert (audited.object_type, audited.object_id) == ("incident", str(incident.pk))


def test_the_second_to_acknowledge_hears_who_was_first(incident: Incident, clock: Clock) -> None:
    boris = make_boris()
    acknowledge(incident, make_vera(), clock)
    at = f"{clock.now:%Y-%m-%d %H:%M} UTC"
    clock.move(minutes=1)

    with refused(
        services.AlreadyAcknowledged, f"vera acknowledged incident {incident.pk} at {at}."
    ):
        services.acknowledge(incident_id=incident.pk, actor=boris, at=clock())


@pytest.mark.parametrize("actor", [Actor.user(7001), Actor.system("watch"), Actor.operator(999)])
def test_nobody_but_an_operator_acts(incident: Incident, clock: Clock, actor: Actor) -> None:
    make_vera()
    asked: Any = {"incident_id": incident.pk, "actor": actor, "at": clock()}

    with refused(services.NotAnOperator, "Only operators can do this."):
        services.acknowledge(**asked)
    with refused(services.NotAnOperator, "Only operators can do this."):
        services.resolve(note="x", **asked)
    with refused(services.NotAnOperator, "Only operators can do this."):
        services.assign(username="vera", **asked)


def test_who_works_no_longer_here_does_not_act(incident: Incident, clock: Clock) -> None:
    vera = make_vera()
    Operator.objects.update(is_active=False)

    with refused(services.NotAnOperator, "Only operators can do this."):
        services.acknowledge(incident_id=incident.pk, actor=vera, at=clock())


def test_it_is_resolved_with_what_it_was(incident: Incident, clock: Clock) -> None:
    vera = make_vera()

    resolve(incident, vera, clock, note="  the node was stuck ")

    incident.refresh_from_db()
    assert (incident.resolved_at, incident.note) == (clock.now, "the node was stuck")
    assert incident.resolved_by == Operator.objects.get(username="vera")
    audited = AuditEntry.objects.get(action="incident.resolved")
    assert audited.reason == "the node was stuck"


@pytest.mark.parametrize("note", ["", "  \n"])
def test_without_a_note_it_stays_open(incident: Incident, clock: Clock, note: str) -> None:
    vera = make_vera()

    with refused(services.NoteMissing, "Say in a note what it was and what you did."):
        services.resolve(incident_id=incident.pk, note=note, actor=vera, at=clock())


def test_what_is_still_there_is_not_resolved(
    incident: Incident, trouble: Trouble, clock: Clock
) -> None:
    vera = make_vera()
    trouble.seen(CAUSE)
    seen_at = f"{clock.now:%Y-%m-%d %H:%M} UTC"
    clock.move(seconds=29)

    with refused(
        services.StillThere,
        f"The cause of incident {incident.pk} is still there, seen at {seen_at}. Acknowledge it,"
        " and resolve it once it is gone.",
    ):
        services.resolve(incident_id=incident.pk, note="x", actor=vera, at=clock())

    clock.move(seconds=1)
    resolve(incident, vera, clock)
    assert Incident.objects.get().note == "paid"


def test_what_is_resolved_is_over(incident: Incident, clock: Clock) -> None:
    vera = make_vera()
    resolve(incident, vera, clock)
    over = f"Incident {incident.pk} was resolved at {clock.now:%Y-%m-%d %H:%M} UTC."
    asked: Any = {"incident_id": incident.pk, "actor": vera, "at": clock()}

    with refused(services.AlreadyResolved, over):
        services.acknowledge(**asked)
    with refused(services.AlreadyResolved, over):
        services.resolve(note="again", **asked)
    with refused(services.AlreadyResolved, over):
        services.assign(username="vera", **asked)


def test_after_it_was_resolved_the_same_cause_opens_another(
    incident: Incident, trouble: Trouble, clock: Clock
) -> None:
    resolve(incident, make_vera(), clock)

    trouble.seen(CAUSE)

    assert list(Incident.objects.order_by("pk").values_list("note", flat=True)) == ["paid", ""]


def test_it_is_assigned_and_still_to_be_acknowledged(incident: Incident, clock: Clock) -> None:
    vera, _ = make_vera(), make_boris()

    with transaction.atomic():
        services.assign(incident_id=incident.pk, username="boris", actor=vera, at=clock())

    incident.refresh_from_db()
    assert incident.assignee == Operator.objects.get(username="boris")
    assert incident.acknowledged_at is None
    with refused(NoSuchPerson, "There is no active operator nobody."):
        services.assign(incident_id=incident.pk, username="nobody", actor=vera, at=clock())


def test_there_is_no_such_incident(incident: Incident, clock: Clock) -> None:
    vera = make_vera()

    with refused(services.NoSuchIncident, "There is no incident 404404."):
        services.acknowledge(incident_id=404_404, actor=vera, at=clock())


def test_outside_a_database_transaction_nothing_is_done(incident: Incident, clock: Clock) -> None:
    asked: Any = {"incident_id": incident.pk, "actor": make_vera(), "at": clock()}

    with pytest.raises(NoDatabaseTransaction):
        services.acknowledge(**asked)
    with pytest.raises(NoDatabaseTransaction):
        services.resolve(note="x", **asked)
    with pytest.raises(NoDatabaseTransaction):
        services.assign(username="vera", **asked)


def test_the_database_keeps_history_and_wants_a_person_and_a_note(
    incident: Incident, clock: Clock
) -> None:
    for statement in (
        "UPDATE incident_history SET note = 'x'",
        "DELETE FROM incident_history",
        f"UPDATE incidents SET resolved_at = now(), note = 'x' WHERE id = {incident.pk}",
        f"UPDATE incidents SET severity = 'P2', resolved_at = now() WHERE id = {incident.pk}",
    ):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    incident.refresh_from_db()
    assert incident.resolved_at is None
