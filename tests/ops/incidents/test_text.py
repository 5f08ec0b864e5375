"""What alerts say, to the letter, in both languages; and that each leads somewhere."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import translation
from pytest_django import Settings

from ops.incidents import clocks, kinds, services, text
from ops.incidents.causes import Cause
from ops.incidents.kinds import KINDS, RESPONSE, Kind
from ops.models import Alert, Incident, Severity
from tests.ops.incidents.conftest import Clock, Trouble, make_vera

HOUSE = Path(__file__).parents[3]
AT = dt.datetime(2026, 3, 1, 3, 0, tzinfo=dt.UTC)
FACTS = {
    "number": 15,
    "check": "wallets_hold_what_the_books_say",
    "found": 1,
    "finding": "wallet 7: chain 5, books 4, running balance 4",
}
BROKEN = Cause(
    "check_critical",
    key="15",
    facts=FACTS,
    since=AT - dt.timedelta(minutes=1),
    page="/admin/ops/reconciliationrun/9/change/",
)
LETTERS = Cause(
    "dead_letters", key="cg-x", facts={"group": "cg-x", "count": 2, "error": "<b> & co"}
)


@pytest.fixture
def at_night(clock: Clock, settings: Settings) -> Clock:
    clock.now = AT
    settings.PUBLIC_URL = "https://bot.example"
    return clock


def said(language: str, clock: Clock, *, reason: str = "OPENED", paused: str = "") -> text.Wording:
    """What the last alert of this reason says."""
    alert = Alert.objects.filter(reason=reason).latest("pk")
    money = text.payouts_now(paused, language=language)
    return text.say(alert, language=language, money=money, perhaps_sent=False, at=clock())


@pytest.mark.django_db
def test_of_a_check_in_english(at_night: Clock, trouble: Trouble) -> None:
    make_vera()
    trouble.seen(BROKEN)
    number = Incident.objects.get().pk

    wording = said("en", at_night, paused="system:pause_payouts is set")

    assert (
        wording.plain
        == f"""\
P0 · Check 15 of the books fails: wallets_hold_what_the_books_say

Found: 1. wallet 7: chain 5, books 4, running balance 4
Since 2026-03-01 02:59 UTC (1 min).
Money may be missing, or booked wrong.
Payouts are paused: system:pause_payouts is set.
First: Run manage.py reconcile and look at each row that it names. Resume payouts only once it is \
explained.
Incident {number}: acknowledge it within 30 min, until 2026-03-01 03:30 UTC.
Runbook: docs/runbook.md#is-the-money-right
Look at: https://bot.example/admin/ops/reconciliationrun/9/change/
Incident: https://bot.example/admin/ops/incident/{number}/change/
Dashboard: Money"""
    )


@pytest.mark.django_db
def test_of_a_check_in_russian(at_night: Clock, trouble: Trouble) -> None:
    make_vera()
    trouble.seen(BROKEN)
    number = Incident.objects.get().pk

    wording = said("ru", at_night)

    assert (
        wording.plain
        == f"""\
P0 · Не сходится проверка {15}: wallets_hold_what_the_books_say

Найдено: 1. wallet 7: chain 5, books 4, running balance 4
С 2026-03-01 02:59 UTC (1 мин).
Деньги могли пропасть или учтены неверно.
Выплаты идут.
Сначала: Запустите manage.py reconcile и посмотрите каждую названную строку. Возобновляйте \
выплаты, только когда всё объяснено.
Инцидент {number}: подтвердите за 30 мин, до 2026-03-01 03:30 UTC.
Инструкция: docs/runbook.md#is-the-money-right
Смотрите: https://bot.example/admin/ops/reconciliationrun/9/change/
Инцидент: https://bot.example/admin/ops/incident/{number}/change/
Панель: Money"""
    )


@pytest.mark.django_db
def test_what_people_and_machines_wrote_is_escaped_for_telegram(
    at_night: Clock, trouble: Trouble
) -> None:
    make_vera()
    trouble.seen(LETTERS)

    html = said("en", at_night).html

    assert html.startswith("<b>P3 · cg-x: 2 dead letters in the last 24 hours</b>\n\n")
    assert "The last: &lt;b&gt; &amp; co\n" in html


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "headline", "line"),
    [
        ("en", "P0 · more · Check 15 of ", "More was found than people were told of before."),
        ("ru", "P0 · больше · Не сходится ", "Найдено больше, чем людям сообщали раньше."),
    ],
)
def test_another_finding_says_that_there_is_more(
    at_night: Clock, trouble: Trouble, language: str, headline: str, line: str
) -> None:
    make_vera()
    trouble.seen(BROKEN)
    trouble.seen(replace(BROKEN, subjects=["wallet 8"]))

    wording = said(language, at_night, reason="MORE")

    assert wording.headline.startswith(headline)
    assert line in wording.lines


@pytest.mark.django_db
def test_a_repetition_says_for_how_long_nobody_has_answered(
    at_night: Clock, trouble: Trouble
) -> None:
    make_vera()
    trouble.seen(BROKEN)
    Alert.objects.update(state="SENT", sent_at=AT, text="x")
    at_night.move(minutes=10)
    clocks.ring(at=at_night())

    wording = said("en", at_night, reason="REPEATED")

    assert wording.headline.startswith("P0 · again · Check 15 ")
    assert "Nobody has acknowledged it for 10 min." in wording.lines


@pytest.mark.django_db
def test_an_escalation_says_so(at_night: Clock, trouble: Trouble) -> None:
    make_vera()
    trouble.seen(BROKEN)
    at_night.move(minutes=30)
    clocks.ring(at=at_night())

    wording = said("en", at_night, reason="ESCALATED")

    assert wording.headline.startswith("P0 · escalated · Check 15 ")
    assert "Nobody has acknowledged it for 30 min." in wording.lines
    until = "acknowledge it within 30 min, until 2026-03-01 04:00 UTC."
    assert any(line.endswith(until) for line in wording.lines)


@pytest.mark.django_db
def test_what_is_gone_is_said_to_be_gone_and_what_is_left_to_do(
    at_night: Clock, trouble: Trouble
) -> None:
    make_vera()
    trouble.seen(BROKEN)
    at_night.move(minutes=10)
    trouble.seen()

    wording = said("en", at_night, reason="GONE")

    assert wording.headline.startswith("P0 · over · Check 15 ")
    assert "Not seen since 2026-03-01 03:00 UTC." in wording.lines
    assert "A person still has to resolve it, with a note." in wording.lines


@pytest.mark.django_db
def test_a_small_one_that_is_gone_asks_for_nothing(at_night: Clock, trouble: Trouble) -> None:
    make_vera()
    trouble.seen(LETTERS)
    at_night.move(minutes=10)
    trouble.seen()

    wording = said("en", at_night, reason="GONE")

    assert wording.headline.startswith("P3 · over · cg-x: ")
    assert "Resolved at 2026-03-01 03:10 UTC." in wording.lines
    assert not any("First:" in line or "acknowledge" in line for line in wording.lines)


@pytest.mark.django_db
def test_what_goes_out_late_says_what_is_true_by_then(at_night: Clock, trouble: Trouble) -> None:
    """Telegram was away for hours: the first alert does not cry wolf."""
    vera = make_vera()
    trouble.seen(BROKEN)
    at_night.move(hours=2)
    with transaction.atomic():
        services.resolve(
            incident_id=Incident.objects.get().pk, note="booked", actor=vera, at=at_night()
        )

    wording = said("en", at_night)

    assert wording.headline.startswith("P0 · over · Check 15 ")
    assert "Resolved at 2026-03-01 05:00 UTC." in wording.lines
    assert "Since 2026-03-01 02:59 UTC (121 min)." in wording.lines


@pytest.mark.django_db
def test_a_fact_that_is_missing_costs_no_alert(at_night: Clock, trouble: Trouble) -> None:
    make_vera()
    trouble.seen(Cause("payout_stuck", key="1"))

    headline = said("en", at_night).headline
    assert headline == "P1 · A transfer has been stuck for over an hour: ? TON"


@pytest.mark.django_db
def test_one_whose_kind_is_no_longer_in_the_code_is_told_by_its_name(
    at_night: Clock, trouble: Trouble
) -> None:
    make_vera()
    trouble.seen(BROKEN)
    Incident.objects.update(kind="check_of_old")
    number = Incident.objects.get().pk

    assert (
        said("en", at_night).plain
        == f"""\
P0 · check_of_old

Since 2026-03-01 02:59 UTC (1 min).
This version does not know what it means; its facts stand in Admin.
Payouts run.
First: Find out whether it still holds; then manage.py incidents resolve.
Incident {number}: acknowledge it within 30 min, until 2026-03-01 03:30 UTC.
Runbook: docs/runbook.md#alarms
Look at: https://bot.example/admin/ops/reconciliationrun/9/change/
Incident: https://bot.example/admin/ops/incident/{number}/change/
Dashboard: Infrastructure"""
    )


def test_without_postgresql_in_both_languages(settings: Settings) -> None:
    def wording(language: str) -> str:
        return text.say_from_memory(
            KINDS["database_down"],
            {"error": "OperationalError: connection refused"},
            language=language,
            every=dt.timedelta(minutes=5),
            since=AT,
            at=AT + dt.timedelta(minutes=2),
        ).plain

    assert (
        wording("en")
        == """\
P0 · PostgreSQL does not answer

OperationalError: connection refused
Since 2026-03-01 03:00 UTC (2 min).
Nothing is signed, sent or booked until it is back; nothing on chain is lost.
First: Start PostgreSQL; look into its log, and for room on its disk.
Said every 5 min until it is over: nobody can acknowledge it now.
Runbook: docs/runbook.md#a-service-is-away
Dashboard: Infrastructure"""
    )
    assert (
        wording("ru")
        == """\
P0 · PostgreSQL не отвечает

OperationalError: connection refused
С 2026-03-01 03:00 UTC (2 мин).
Пока он не вернётся, ничего не подписывается, не отправляется и не учитывается; в сети ничего не \
теряется.
Сначала: Запустите PostgreSQL; посмотрите его журнал и место на его диске.
Повторяется каждые 5 мин, пока не кончится: подтвердить сейчас нельзя.
Инструкция: docs/runbook.md#a-service-is-away
Панель: Infrastructure"""
    )


def test_the_runbook_on_the_web_is_linked_to(settings: Settings) -> None:
    settings.RUNBOOK_URL = "https://wiki.example/runbook"

    link = text.runbook_link(KINDS["redis_down"])

    assert link == "https://wiki.example/runbook#a-service-is-away"


# --- the table of kinds ---------------------------------------------------------------------------


def anchors() -> set[str]:
    """The runbook's headings, as links name them."""
    headings = re.findall(r"^#+ (.+)$", (HOUSE / "docs/runbook.md").read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_kind_leads_to_a_section_of_the_runbook(kind: Kind) -> None:
    assert kind.anchor in anchors()


def test_a_kind_of_old_leads_to_a_section_of_the_runbook() -> None:
    assert kinds.kind_named("of_old").anchor in anchors()


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_kind_is_seen_by_a_detector(kind: Kind) -> None:
    folder = HOUSE / "ops/incidents"
    sources = [path for path in folder.rglob("*.py") if path.name != "kinds.py"]

    assert any(f'"{kind.name}"' in path.read_text() for path in sources)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_what_hides_a_kind_is_one(kind: Kind) -> None:
    assert set(kind.hidden_by) <= KINDS.keys() - {kind.name}


def test_the_clocks_are_the_runbooks() -> None:
    assert {
        severity.value: clock // dt.timedelta(minutes=1) for severity, clock in RESPONSE.items()
    } == {
        "P0": 30,
        "P1": 60,
        "P2": 120,
        "P3": 240,
    }
    assert [kind.name for kind in KINDS.values() if kind.pauses] == ["check_critical"]
    assert {kind.severity for kind in KINDS.values()} == set(Severity)


def test_kinds_have_names_of_their_own() -> None:
    assert len(KINDS) == len(kinds._ALL)


def test_texts_are_translated_when_they_are_said() -> None:
    with translation.override("ru"):
        russian = str(KINDS["redis_down"].title)
    with translation.override("en"):
        assert str(KINDS["redis_down"].title) == "Redis does not answer"
    assert russian == "Redis не отвечает"
