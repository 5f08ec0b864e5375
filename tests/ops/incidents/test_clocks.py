"""While nobody answers: P0 is said again every five minutes, everything goes to the next person."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import transaction
from django.db.models import F
from pytest_django import Settings

from accounts.models import Operator
from advertmarket.actors import Actor
from ops.incidents import clocks, services
from ops.incidents.causes import Cause
from ops.incidents.kinds import RESPONSE
from ops.models import Alert, Incident, IncidentEntry, Severity
from tests.ops.incidents.conftest import (
    Clock,
    Trouble,
    make_boris,
    make_operator,
    make_vera,
    set_rota,
)

pytestmark = pytest.mark.django_db

P0 = Cause("check_critical", key="15", facts={"number": 15})
P1 = Cause("payout_stuck", key="1")
P2 = Cause("outbox_failed")
P3 = Cause("dead_letters", key="cg-x")


@pytest.fixture
def people(clock: Clock) -> list[Actor]:
    """Three on the rota."""
    people = [make_vera(), make_boris(), make_operator("carla", 7009)]
    set_rota("vera", "boris", "carla")
    return people


def told() -> dict[str, list[str]]:
    """What each person was told, in order."""
    found: dict[str, list[str]] = {}
    for alert in Alert.objects.order_by("pk"):
        name = Operator.objects.get(pk=alert.recipient.removeprefix("operator:")).username
        found.setdefault(name, []).append(f"{alert.reason} {alert.number}")
    return found


def all_sent() -> None:
    """As if the watch had sent what there is."""
    Alert.objects.filter(state="PENDING").update(state="SENT", sent_at=F("created_at"), text="x")


def run(clock: Clock, trouble: Trouble, cause: Cause, *turns: int) -> None:
    """Let time pass, with a turn of the watch after so many minutes each."""
    for minutes in turns:
        clock.move(minutes=minutes)
        trouble.seen(cause)
        clocks.ring(at=clock())
        all_sent()


def test_a_p0_is_said_again_every_five_minutes(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    trouble.seen(P0)
    all_sent()

    run(clock, trouble, P0, 4, 1, 1, 4, 4)

    assert told() == {"vera": ["OPENED 1", "REPEATED 1", "REPEATED 2"]}


def test_a_p0_goes_to_the_next_after_half_an_hour_and_the_first_hears_on(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    trouble.seen(P0)
    all_sent()

    run(clock, trouble, P0, *[5] * 7)

    again = [f"REPEATED {number}" for number in range(1, 6)]
    assert told() == {
        "vera": ["OPENED 1", *again, "ESCALATED 1", "REPEATED 6"],
        "boris": ["ESCALATED 1", "REPEATED 6"],
    }
    run(clock, trouble, P0, 25)
    assert told()["carla"] == ["ESCALATED 2"]


@pytest.mark.parametrize(
    ("cause", "within"),
    [(P1, dt.timedelta(hours=1)), (P2, dt.timedelta(hours=2)), (P3, dt.timedelta(hours=4))],
)
def test_others_are_said_once_and_go_on_when_their_clock_is_over(
    clock: Clock, trouble: Trouble, people: list[Actor], cause: Cause, within: dt.timedelta
) -> None:
    trouble.seen(cause)
    all_sent()
    minutes = within // dt.timedelta(minutes=1)
    run(clock, trouble, cause, minutes // 2, minutes // 2 - 1)
    assert told() == {"vera": ["OPENED 1"]}

    run(clock, trouble, cause, 1)

    assert told() == {"vera": ["OPENED 1", "ESCALATED 1"], "boris": ["ESCALATED 1"]}
    incident = Incident.objects.get()
    assert (incident.level, incident.respond_by) == (1, clock.now + within)


def test_at_the_end_of_the_rota_everybody_hears_again(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    trouble.seen(P1)
    all_sent()

    run(clock, trouble, P1, *[60] * 4)

    assert told()["carla"] == ["ESCALATED 2", "ESCALATED 3", "ESCALATED 4"]
    assert told()["vera"] == ["OPENED 1", *(f"ESCALATED {level}" for level in (1, 2, 3, 4))]


def test_whoever_acknowledges_is_left_alone_and_so_is_everybody(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    trouble.seen(P0)
    all_sent()
    run(clock, trouble, P0, 5)
    with transaction.atomic():
        services.acknowledge(incident_id=Incident.objects.get().pk, actor=people[0], at=clock())

    run(clock, trouble, P0, 5, 25, 60)

    assert told() == {"vera": ["OPENED 1", "REPEATED 1"]}


def test_a_grave_one_that_nobody_answered_rings_on_though_it_is_gone(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    """Payouts are paused for it."""
    trouble.seen(P0)
    all_sent()
    clock.move(minutes=10)
    trouble.seen()
    all_sent()

    clocks.ring(at=clock())

    assert told() == {"vera": ["OPENED 1", "GONE 1", "REPEATED 1"]}


def test_a_small_one_that_is_gone_goes_to_nobody_more(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    trouble.seen(P2)
    all_sent()
    clock.move(hours=3)
    trouble.seen()
    clocks.ring(at=clock())

    assert told() == {"vera": ["OPENED 1", "GONE 1"]}


def test_without_a_rota_everybody_hears_at_once_and_again(clock: Clock, trouble: Trouble) -> None:
    make_vera()
    make_boris()
    make_operator("nobody")  # linked to nothing
    trouble.seen(P1)
    all_sent()

    run(clock, trouble, P1, 59, 1)

    assert told() == {
        "vera": ["OPENED 1", "ESCALATED 1"],
        "boris": ["OPENED 1", "ESCALATED 1"],
    }


def test_a_repetition_is_not_written_behind_what_still_waits(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    """Telegram is away for an hour: when it is back, one message says all."""
    trouble.seen(P0)
    for _ in range(5):
        clock.move(minutes=5)
        clocks.ring(at=clock())

    assert told() == {"vera": ["OPENED 1"]}
    assert IncidentEntry.objects.filter(what="REPEATED").count() == 5


def test_one_that_is_back_is_escalated_anew(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    run(clock, trouble, P1, 0, 60)
    clock.move(minutes=10)
    trouble.seen()
    all_sent()
    run(clock, trouble, P1, 24 * 60, 60)

    assert Incident.objects.get().episode == 2
    assert told() == {
        "vera": ["OPENED 1", "ESCALATED 1", "GONE 1", "OPENED 2", "ESCALATED 2"],
        "boris": ["ESCALATED 1", "GONE 1", "ESCALATED 2"],
    }


def given_up(username: str) -> None:
    """As if this person had blocked the bot."""
    operator = Operator.objects.get(username=username)
    Alert.objects.filter(state="PENDING", recipient=f"operator:{operator.pk}").update(
        state="FAILED", error="Forbidden: bot was blocked by the user"
    )


@pytest.mark.parametrize("grave", [P0, P1])
def test_a_grave_one_whose_person_cannot_be_told_goes_to_the_next_at_once(
    clock: Clock, trouble: Trouble, people: list[Actor], grave: Cause
) -> None:
    trouble.seen(grave)
    clocks.ring(at=clock())
    assert told() == {"vera": ["OPENED 1"]}  # it may yet arrive
    given_up("vera")
    for _ in range(3):
        run(clock, trouble, grave, 1)
        given_up("vera")

    assert told() == {"vera": ["OPENED 1", "ESCALATED 1"], "boris": ["ESCALATED 1"]}
    incident = Incident.objects.get()
    assert incident.respond_by - incident.told_at == RESPONSE[Severity(incident.severity)]


def test_where_the_next_cannot_be_told_either_it_goes_on_to_the_end_of_the_rota(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    trouble.seen(P0)
    for _ in range(5):
        for username in ("vera", "boris", "carla"):
            given_up(username)
        clock.move(seconds=5)
        trouble.seen(P0)
        clocks.ring(at=clock())

    assert Incident.objects.get().level == 2
    assert told()["carla"] == ["ESCALATED 2"]


def test_who_has_no_channel_is_passed_over_where_it_is_grave(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    Operator.objects.filter(username="vera").update(telegram_id=None)
    trouble.seen(P1, P2)
    clocks.ring(at=clock())

    assert told() == {"boris": ["ESCALATED 1"]}


def test_whose_mail_arrives_is_told_though_the_chat_is_closed(
    clock: Clock, trouble: Trouble, people: list[Actor], settings: Settings
) -> None:
    settings.ALERT_SMTP_HOST = "127.0.0.1"
    set_rota("vera", "boris", emails=["vera@example.org"])
    trouble.seen(P0)
    given_up("vera")
    clocks.ring(at=clock())

    assert Incident.objects.get().level == 0


def test_without_a_rota_there_is_nobody_to_go_on_to(clock: Clock, trouble: Trouble) -> None:
    make_vera()
    make_boris()
    trouble.seen(P0)
    given_up("vera")
    clocks.ring(at=clock())

    assert told() == {"vera": ["OPENED 1"], "boris": ["OPENED 1"]}


def test_a_small_one_waits_for_its_clock(
    clock: Clock, trouble: Trouble, people: list[Actor]
) -> None:
    trouble.seen(P2)
    given_up("vera")
    clocks.ring(at=clock())

    assert told() == {"vera": ["OPENED 1"]}


def test_who_left_is_passed_over(clock: Clock, trouble: Trouble, people: list[Actor]) -> None:
    Operator.objects.filter(username="vera").update(is_active=False)

    trouble.seen(P1)

    assert told() == {"boris": ["OPENED 1"]}
