"""The button under an alert: an operator's press acknowledges, anybody else's changes nothing."""

from __future__ import annotations

import pytest
from django.db import transaction

from accounts.models import Operator
from advertmarket.actors import Actor
from advertmarket.audit.models import AuditEntry
from ops.incidents import services
from ops.incidents.causes import Cause
from ops.incidents.channels.telegram import acknowledge_button
from ops.models import Incident, IncidentEntry
from tests.bot_chat import BotChat
from tests.ops.incidents.conftest import (
    BORIS,
    STRANGER,
    VERA,
    Clock,
    Trouble,
    make_boris,
    make_vera,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(trouble: Trouble) -> Incident:
    make_vera()
    make_boris()
    trouble.seen(Cause("check_critical", key="15", facts={"number": 15}))
    return Incident.objects.get()


def press(user_id: int, incident: Incident) -> list[str]:
    """Press the button; return what the bot says."""
    [[button]] = acknowledge_button(incident.pk, "Acknowledge")
    return [message.text for message in BotChat(user_id).press(button.callback_data)]


def test_an_operator_acknowledges(incident: Incident) -> None:
    assert press(VERA, incident) == [f"Incident {incident.pk}: it is yours."]

    incident.refresh_from_db()
    assert incident.acknowledged_by == Operator.objects.get(username="vera")
    assert IncidentEntry.objects.filter(what="ACKNOWLEDGED").count() == 1


def test_the_bot_speaks_the_operators_language(incident: Incident) -> None:
    assert press(BORIS, incident) == [f"Инцидент {incident.pk}: он ваш."]


def test_a_strangers_press_changes_nothing(incident: Incident) -> None:
    audited = AuditEntry.objects.count()

    assert press(STRANGER, incident) == []

    incident.refresh_from_db()
    assert (incident.acknowledged_at, incident.assignee) == (None, None)
    assert not IncidentEntry.objects.exclude(what="OPENED").exists()
    assert AuditEntry.objects.count() == audited


def test_who_works_no_longer_here_is_a_stranger(incident: Incident) -> None:
    Operator.objects.filter(username="vera").update(is_active=False)

    assert press(VERA, incident) == []

    assert Incident.objects.get().acknowledged_at is None


def test_who_may_not_act_on_money_is_a_stranger(incident: Incident) -> None:
    Operator.objects.filter(username="vera").update(is_superuser=False)

    assert press(VERA, incident) == []

    assert Incident.objects.get().acknowledged_at is None


def test_the_second_press_says_whose_it_is(
    incident: Incident, clock: Clock, trouble: Trouble
) -> None:
    boris = Operator.objects.get(username="boris")
    with transaction.atomic():
        services.acknowledge(incident_id=incident.pk, actor=Actor.operator(boris.pk), at=clock())

    [said] = press(VERA, incident)

    assert said.startswith(f"boris acknowledged incident {incident.pk} at ")
    assert Incident.objects.get().acknowledged_by == boris


@pytest.mark.parametrize("data", ["", "x", "999999", "-1", "1:2", "٣", "9" * 40])
def test_what_no_button_of_ours_says_is_refused(incident: Incident, data: str) -> None:
    [said] = BotChat(VERA).press(f"acknowledge_incident:{data}")

    assert said.text == f"There is no incident {data}."
    assert Incident.objects.get().acknowledged_at is None
