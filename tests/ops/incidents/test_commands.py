"""`manage.py incidents` and `manage.py rota`: what works when neither bot nor admin does."""

from __future__ import annotations

import pytest
from django.contrib.admin import site
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import translation
from pytest_django import Settings

from accounts.models import Operator
from advertmarket.audit.models import AuditEntry
from ops.incidents.admin import HistoryInline, IncidentAdmin
from ops.incidents.causes import Cause
from ops.incidents.clocks import ring
from ops.models import Incident, IncidentEntry, RotaEntry
from tests.operators import hire
from tests.ops.incidents.conftest import BORIS, VERA, Clock, Trouble, make_boris, make_vera
from tests.ops.incidents.conftest import make_operator as make

pytestmark = pytest.mark.django_db

STUCK = Cause("payout_stuck", key="1", facts={"amount": "90"})
LETTERS = Cause("dead_letters", key="cg-x", facts={"group": "cg-x", "count": 2, "error": "e"})


@pytest.fixture
def incidents(trouble: Trouble, clock: Clock) -> list[Incident]:
    make_vera()
    make_boris()
    trouble.seen(LETTERS, STUCK)
    clock.move(minutes=-5)
    Incident.objects.update(since_at=clock(), last_seen_at=clock())
    return list(Incident.objects.order_by("severity"))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, **options: str) -> str:
    capsys.readouterr()
    call_command(*arguments, **options)
    return capsys.readouterr().out


# --- incidents ------------------------------------------------------------------------------------


def test_the_list_has_the_gravest_first(
    incidents: list[Incident], clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    stuck, letters = incidents
    since = f"{clock.now:%Y-%m-%d %H:%M} UTC"

    assert printed(capsys, "incidents", "list") == (
        f"{stuck.pk}  P1  A transfer has been stuck for over an hour: 90 TON  since {since}"
        "  (open, nobody has acknowledged it)\n"
        f"{letters.pk}  P3  cg-x: 2 dead letters in the last 24 hours  since {since}"
        "  (open, nobody has acknowledged it)\n"
    )
    assert printed(capsys, "incidents") == printed(capsys, "incidents", "list")


def test_an_empty_list_says_so_and_that_nobody_would_hear(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("incidents")

    out, err = capsys.readouterr()
    assert out == "no incident is open\n"
    assert err == "nobody is told of alarms: link_operator, or ALERT_* in .env\n"


def test_it_is_acknowledged_assigned_and_resolved(
    incidents: list[Incident], capsys: pytest.CaptureFixture[str]
) -> None:
    pk = str(incidents[0].pk)

    assert printed(capsys, "incidents", "ack", pk, operator="vera").endswith(
        "(acknowledged by vera, assigned to vera)\n"
    )
    assert printed(capsys, "incidents", "assign", pk, "boris", operator="vera").endswith(
        "(acknowledged by vera, assigned to boris)\n"
    )
    assert printed(capsys, "incidents", "resolve", pk, operator="boris", note="paid").endswith(
        "(resolved: paid)\n"
    )

    incident = Incident.objects.get(pk=pk)
    assert incident.resolved_by == Operator.objects.get(username="boris")
    audited = AuditEntry.objects.filter(object_type="incident").order_by("pk")
    assert [(entry.action, entry.actor_kind) for entry in audited] == [
        ("incident.acknowledged", "operator"),
        ("incident.assigned", "operator"),
        ("incident.resolved", "operator"),
    ]


@pytest.mark.parametrize(
    ("arguments", "options", "refusal"),
    [
        (("ack", "999999"), {"operator": "vera"}, "There is no incident 999999."),
        (("ack", "{pk}"), {"operator": "nobody"}, "no active operator nobody has this password"),
        (
            ("resolve", "{pk}"),
            {"operator": "vera", "note": " "},
            "Say in a note what it was and what you did.",
        ),
        (("assign", "{pk}", "nobody"), {"operator": "vera"}, "There is no active operator nobody."),
    ],
)
def test_what_is_refused_says_why_and_changes_nothing(
    incidents: list[Incident], arguments: tuple[str, ...], options: dict[str, str], refusal: str
) -> None:
    before = list(Incident.objects.order_by("pk").values())

    with pytest.raises(CommandError) as refused:
        call_command(
            "incidents", *(part.format(pk=incidents[0].pk) for part in arguments), **options
        )

    assert str(refused.value) == refusal
    assert list(Incident.objects.order_by("pk").values()) == before


# --- the rota -------------------------------------------------------------------------------------


def test_the_rota_is_set_and_shown(capsys: pytest.CaptureFixture[str], settings: Settings) -> None:
    make_vera()
    make_boris()

    shown = printed(capsys, "rota", "set", "boris=boris@example.org", "vera", operator="vera")

    assert shown == (f"1. boris  Telegram {BORIS}, boris@example.org\n2. vera  Telegram {VERA}\n")
    assert printed(capsys, "rota") == shown
    entry = AuditEntry.objects.get(action="rota.set")
    assert (entry.before, entry.after) == ({"people": []}, {"people": ["boris", "vera"]})


def test_without_a_rota_everybody_who_is_linked_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed(capsys, "rota") == (
        "nobody: link_operator NAME TELEGRAM_ID, then rota set NAME...\n"
    )
    make_vera()
    make_boris()
    printed(capsys, "rota", "set", "boris", operator="vera")

    shown = printed(capsys, "rota", "set", operator="vera")

    assert shown == f"1. vera  Telegram {VERA}\n2. boris  Telegram {BORIS}\n"
    assert not RotaEntry.objects.exists()


@pytest.mark.parametrize(
    ("people", "refusal"),
    [
        (("vera", "nobody"), "There is no active operator nobody."),
        (
            ("carla",),
            "carla has neither a Telegram account (link_operator) nor an e-mail address.",
        ),
        (("vera", "boris", "vera"), "vera is named twice."),
    ],
)
def test_a_rota_that_would_wake_nobody_is_refused(people: tuple[str, ...], refusal: str) -> None:
    make_vera()
    make_boris()
    make("carla")
    call_command("rota", "set", "boris", operator="vera")

    with pytest.raises(CommandError) as refused:
        call_command("rota", "set", *people, operator="vera")

    assert str(refused.value) == refusal
    assert [entry.operator.get_username() for entry in RotaEntry.objects.all()] == ["boris"]


def test_who_has_mail_alone_may_be_in_the_rota() -> None:
    make_vera()
    make("carla")

    call_command("rota", "set", "carla=carla@example.org", operator="vera")

    assert [entry.email for entry in RotaEntry.objects.all()] == ["carla@example.org"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("incidents", "ack", "{pk}"),
        ("incidents", "assign", "{pk}", "vera"),
        ("incidents", "resolve", "{pk}", "--note=paid"),
        ("rota", "set", "idle=idle@example.org"),
    ],
)
def test_who_may_not_act_on_money_silences_no_alarm(
    incidents: list[Incident], arguments: tuple[str, ...]
) -> None:
    hire("idle")
    call_command("rota", "set", "vera", operator="vera")
    before = list(Incident.objects.order_by("pk").values())

    with pytest.raises(CommandError) as refused:
        call_command(*(part.format(pk=incidents[0].pk) for part in arguments), operator="idle")

    assert str(refused.value) == ("operator idle may not do this: it takes payments.operate_money")
    assert list(Incident.objects.order_by("pk").values()) == before
    assert RotaEntry.objects.get().operator.get_username() == "vera"


# --- the admin ------------------------------------------------------------------------------------


def test_the_admin_shows_an_incident_with_its_history_and_alerts(
    incidents: list[Incident], client: Client
) -> None:
    client.force_login(Operator.objects.get(username="vera"))

    page = client.get(f"/admin/ops/incident/{incidents[0].pk}/change/")

    text = page.content.decode()
    assert page.status_code == 200
    assert "docs/runbook.md#payouts-wait-though-nothing-is-paused-by-hand" in text
    assert "Opened" in text
    assert "operator:" in text  # who was told
    for model in ("incident", "alert", "rotaentry"):
        assert client.get(f"/admin/ops/{model}/").status_code == 200
        assert client.get(f"/admin/ops/{model}/add/").status_code == 403


@pytest.mark.parametrize(
    ("language", "gone", "level"),
    [("en", "gone by itself", "level 1"), ("ru", "прошло само", "уровень 1")],
)
def test_the_admin_tells_what_the_watch_did_in_the_readers_language(
    incidents: list[Incident],
    trouble: Trouble,
    clock: Clock,
    language: str,
    gone: str,
    level: str,
) -> None:
    stuck, letters = incidents
    clock.move(minutes=15)
    trouble.seen(STUCK)
    ring(at=stuck.respond_by)
    letters.refresh_from_db()

    with translation.override(language):
        shown = {
            what: HistoryInline(Incident, site).told(entry)
            for what in ("RESOLVED", "ESCALATED")
            for entry in IncidentEntry.objects.filter(what=what)
        }
        assert IncidentAdmin(Incident, site).told(letters) == gone

    assert shown == {"RESOLVED": gone, "ESCALATED": level}
    assert letters.note == "gone by itself"  # stored in English


def test_an_incident_whose_kind_is_no_longer_in_the_code_is_shown_by_its_name(
    incidents: list[Incident], client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    client.force_login(Operator.objects.get(username="vera"))
    Incident.objects.filter(pk=incidents[0].pk).update(kind="of_old")

    for page in ("/admin/ops/incident/", f"/admin/ops/incident/{incidents[0].pk}/change/"):
        answer = client.get(page)
        assert answer.status_code == 200
        assert "of_old" in answer.content.decode()
    assert printed(capsys, "incidents").startswith(f"{incidents[0].pk}  P1  of_old  since ")
