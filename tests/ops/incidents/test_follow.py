"""One incident per cause, however often it is seen; what is gone is said to be gone."""

from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import connection, transaction

from advertmarket.actors import Actor
from ops.incidents import follow as following
from ops.incidents import services
from ops.incidents.causes import Cause
from ops.models import Alert, Incident, IncidentEntry
from tests.database import Clone
from tests.ops.incidents.conftest import Clock, Trouble, make_boris, make_vera, set_rota

STUCK = Cause("payout_stuck", key="1", facts={"amount": "90", "waiting_for": "the chain"})
LETTERS = Cause("dead_letters", key="cg-x", facts={"group": "cg-x", "count": 1})
BROKEN = Cause("check_critical", key="15", facts={"number": 15})


def told() -> list[tuple[str, str, int]]:
    """Every alert: of what, why, and which."""
    alerts = Alert.objects.order_by("pk").select_related("incident")
    return [(alert.incident.cause, alert.reason, alert.number) for alert in alerts]


def history() -> list[str]:
    return list(IncidentEntry.objects.order_by("pk").values_list("what", flat=True))


@pytest.mark.django_db
def test_a_cause_is_one_incident_however_often_it_is_seen(clock: Clock, trouble: Trouble) -> None:
    make_vera()
    for _ in range(3):
        trouble.seen(STUCK)
        clock.move(seconds=5)

    incident = Incident.objects.get()
    assert (incident.severity, incident.kind, incident.cause) == (
        "P1",
        "payout_stuck",
        "payout_stuck:1",
    )
    assert incident.last_seen_at == clock.now - dt.timedelta(seconds=5)
    assert incident.respond_by == incident.opened_at + dt.timedelta(hours=1)
    assert told() == [("payout_stuck:1", "OPENED", 1)]
    assert history() == ["OPENED"]


@pytest.mark.django_db
def test_its_figures_are_the_last_ones(clock: Clock, trouble: Trouble) -> None:
    trouble.seen(STUCK)
    trouble.seen(Cause("payout_stuck", key="1", facts={"amount": "91"}))

    assert Incident.objects.get().facts == {"amount": "91"}


@pytest.mark.django_db
def test_its_figures_hold_no_secret_and_no_address_in_full(trouble: Trouble) -> None:
    address = "EQ" + "A" * 42 + "wxyz"
    error = f"token 7000000001:{'a' * 35} at {address}"
    trouble.seen(Cause("payout_stuck", key="1", facts={"waiting_for": error}))

    assert Incident.objects.get().facts == {"waiting_for": "token [bot token] at EQAAAA…wxyz"}


@pytest.mark.django_db
def test_a_cause_that_must_hold_is_told_of_when_it_did(clock: Clock, trouble: Trouble) -> None:
    away = Cause("redis_down", facts={"error": "gone"})
    trouble.seen(away)
    clock.move(seconds=10)
    trouble.seen()  # it was a blink
    clock.move(seconds=10)
    trouble.seen(away)
    clock.move(seconds=14)
    trouble.seen(away)
    assert not Incident.objects.exists()

    clock.move(seconds=1)
    trouble.seen(away)

    assert Incident.objects.get().cause == "redis_down"


@pytest.mark.django_db
def test_what_another_cause_explains_opens_nothing(clock: Clock, trouble: Trouble) -> None:
    away = Cause("redis_down", facts={"error": "gone"})
    silent = Cause("money_queue_silent", key="celery", facts={"queue": "celery"})
    for _ in range(30):
        trouble.seen(away, silent)
        clock.move(seconds=5)
    assert [incident.cause for incident in Incident.objects.all()] == ["redis_down"]

    for _ in range(31):  # Redis is back; the queue gets two minutes, and its own half
        trouble.seen(silent)
        clock.move(seconds=5)

    causes = Incident.objects.order_by("pk").values_list("cause", flat=True)
    assert list(causes) == ["redis_down", "money_queue_silent:celery"]


@pytest.mark.django_db
def test_what_blinks_hides_nothing(clock: Clock, trouble: Trouble) -> None:
    """Redis misses one look in a minute and a half, of which nobody is told."""
    blink = Cause("redis_down", facts={"error": "timed out"})
    dead = Cause("celery_silent", facts={"beaten_at": "—"})
    for look in range(8):
        trouble.seen(*([blink, dead] if look % 6 == 0 else [dead]))
        clock.move(seconds=5)

    assert [incident.cause for incident in Incident.objects.all()] == ["celery_silent"]


@pytest.mark.django_db
def test_a_consequence_waits_until_its_cause_is_ripe(clock: Clock, trouble: Trouble) -> None:
    for _ in range(14):
        trouble.seen(Cause("outbox_waits"), Cause("kafka_down", facts={"error": "gone"}))
        clock.move(seconds=5)

    assert [incident.cause for incident in Incident.objects.all()] == ["kafka_down"]


@pytest.mark.django_db
def test_telegram_explains_that_its_own_tables_stand_still_and_no_other(
    clock: Clock, trouble: Trouble
) -> None:
    away = Cause("telegram_away", facts={"error": "gone"})
    deposits = Cause("table_stands", key="deposits")
    updates = Cause("table_stands", key="telegram_updates", hidden_by=("telegram_away",))
    for _ in range(7):
        trouble.seen(away, deposits, updates)
        clock.move(minutes=1)

    causes = Incident.objects.order_by("pk").values_list("cause", flat=True)
    assert list(causes) == ["table_stands:deposits", "telegram_away"]


@pytest.mark.django_db
def test_gone_and_back_within_minutes_is_the_same_and_nobody_hears(
    clock: Clock, trouble: Trouble
) -> None:
    make_vera()
    trouble.seen(LETTERS)
    clock.move(minutes=9)
    trouble.seen()
    clock.move(seconds=30)
    trouble.seen(LETTERS)
    clock.move(minutes=9)
    trouble.seen()

    incident = Incident.objects.get()
    assert (incident.resolved_at, incident.gone_at, incident.episode) == (None, None, 1)
    assert told() == [("dead_letters:cg-x", "OPENED", 1)]


@pytest.mark.django_db
def test_a_small_one_that_is_gone_resolves_by_itself(clock: Clock, trouble: Trouble) -> None:
    make_vera()
    trouble.seen(LETTERS)
    seen_at = clock.now
    clock.move(minutes=10)
    trouble.seen()

    incident = Incident.objects.get()
    assert (incident.gone_at, incident.resolved_at) == (seen_at, clock.now)
    assert (incident.note, incident.resolved_by) == ("gone by itself", None)
    assert told() == [("dead_letters:cg-x", "OPENED", 1), ("dead_letters:cg-x", "GONE", 1)]
    assert history() == ["OPENED", "GONE", "RESOLVED"]

    trouble.seen(LETTERS)

    assert Incident.objects.count() == 2


@pytest.mark.django_db
def test_a_grave_one_that_is_gone_needs_a_person(clock: Clock, trouble: Trouble) -> None:
    vera = make_vera()
    trouble.seen(STUCK)
    for _ in range(3):
        clock.move(minutes=10)
        trouble.seen()

    incident = Incident.objects.get()
    assert incident.resolved_at is None
    assert incident.gone_at is not None
    assert told() == [("payout_stuck:1", "OPENED", 1), ("payout_stuck:1", "GONE", 1)]

    with transaction.atomic():
        services.resolve(incident_id=incident.pk, note="paid", actor=vera, at=clock())
    assert Incident.objects.get().note == "paid"


@pytest.mark.django_db
def test_a_grave_one_that_is_back_after_people_heard_it_is_gone_begins_anew(
    clock: Clock, trouble: Trouble
) -> None:
    vera = make_vera()
    trouble.seen(BROKEN)
    incident = Incident.objects.get()
    with transaction.atomic():
        services.acknowledge(incident_id=incident.pk, actor=vera, at=clock())
    Incident.objects.update(pause_asked_at=None)
    clock.move(minutes=10)
    trouble.seen()
    clock.move(minutes=1)
    trouble.seen(BROKEN)

    incident.refresh_from_db()
    assert (incident.episode, incident.gone_at, incident.acknowledged_at) == (2, None, None)
    assert incident.respond_by == clock.now + dt.timedelta(minutes=30)
    assert incident.pause_asked_at == clock.now
    assert [(reason, number) for _, reason, number in told()] == [
        ("OPENED", 1),
        ("GONE", 1),
        ("OPENED", 2),
    ]
    assert history() == ["OPENED", "ACKNOWLEDGED", "GONE", "BACK"]


def frozen(*wallets: str, found: int | None = None) -> Cause:
    """A cause that is about these things."""
    count = len(wallets) if found is None else found
    return Cause("wallets_frozen", facts={"count": count}, subjects=wallets, found=count)


def acknowledged_by(actor: Actor, at: dt.datetime) -> Incident:
    with transaction.atomic():
        return services.acknowledge(incident_id=Incident.objects.get().pk, actor=actor, at=at)


@pytest.mark.django_db
@pytest.mark.parametrize("news", [frozen("6", "8"), frozen("8"), frozen("6", "7", found=101)])
def test_another_thing_of_the_same_cause_or_more_of_them_ends_the_acknowledgement(
    clock: Clock, trouble: Trouble, news: Cause
) -> None:
    vera = make_vera()
    trouble.seen(frozen("6", "7"))
    acknowledged_by(vera, clock())
    clock.move(hours=3)
    for _ in range(3):
        trouble.seen(news)

    incident = Incident.objects.get()
    assert (incident.acknowledged_at, incident.acknowledged_by) == (None, None)
    assert incident.respond_by == clock.now + dt.timedelta(hours=1)
    assert told() == [("wallets_frozen", "OPENED", 1), ("wallets_frozen", "MORE", 1)]
    assert history() == ["OPENED", "ACKNOWLEDGED", "MORE"]


@pytest.mark.django_db
def test_fewer_of_the_known_things_are_no_news(clock: Clock, trouble: Trouble) -> None:
    vera = make_vera()
    trouble.seen(frozen("6", "7"))
    acknowledged_by(vera, clock())
    for wallets in (["7"], ["6"], ["6", "7"]):
        clock.move(minutes=4)
        trouble.seen(frozen(*wallets))

    assert Incident.objects.get().acknowledged_by is not None
    assert told() == [("wallets_frozen", "OPENED", 1)]


@pytest.mark.django_db
def test_a_thing_that_was_mended_is_news_when_it_is_back(clock: Clock, trouble: Trouble) -> None:
    vera = make_vera()
    trouble.seen(frozen("6", "7"))
    acknowledged_by(vera, clock())
    for minutes in (5, 5, 5):
        clock.move(minutes=minutes)
        trouble.seen(frozen("6"))
    trouble.seen(frozen("6", "7"))

    assert Incident.objects.get().acknowledged_at is None
    assert told()[1:] == [("wallets_frozen", "MORE", 1)]


@pytest.mark.django_db
def test_a_watch_that_was_away_tells_nothing_anew(clock: Clock, trouble: Trouble) -> None:
    vera = make_vera()
    trouble.seen(frozen("6", "7"))
    acknowledged_by(vera, clock())
    clock.move(hours=5)
    trouble.seen(frozen("6", "7"))

    assert Incident.objects.get().acknowledged_by is not None
    assert told() == [("wallets_frozen", "OPENED", 1)]


@pytest.mark.django_db
def test_what_grows_while_nobody_answers_keeps_its_clock(clock: Clock, trouble: Trouble) -> None:
    make_vera()
    trouble.seen(frozen("6"))
    respond_by = Incident.objects.get().respond_by
    clock.move(minutes=30)
    trouble.seen(frozen("6", "7"))

    assert Incident.objects.get().respond_by == respond_by
    assert told()[1:] == [("wallets_frozen", "MORE", 1)]


@pytest.mark.django_db
def test_what_its_detector_cannot_tell_is_not_gone(clock: Clock, trouble: Trouble) -> None:
    trouble.seen(LETTERS)
    incident = Incident.objects.get()
    clock.move(hours=1)
    Incident.objects.update(detector="records_are_applied")  # one that there is
    trouble.untold()

    incident.refresh_from_db()
    assert incident.gone_at is None


@pytest.mark.django_db
def test_what_no_detector_looks_for_any_more_is_gone(clock: Clock, trouble: Trouble) -> None:
    trouble.seen(LETTERS)
    clock.move(hours=1)
    trouble.untold()  # no detector of the product is called “trouble”

    assert Incident.objects.get().resolved_at == clock.now


@pytest.mark.django_db
def test_only_a_check_of_the_books_asks_for_a_pause(clock: Clock, trouble: Trouble) -> None:
    trouble.seen(BROKEN, STUCK, LETTERS)

    asked = Incident.objects.exclude(pause_asked_at=None)
    assert [incident.cause for incident in asked] == ["check_critical:15"]


@pytest.mark.django_db
def test_one_that_cannot_be_written_keeps_no_other_waiting(trouble: Trouble) -> None:
    too_long = Cause("payout_stuck", key="x" * 300)

    assert not trouble.seen(too_long, STUCK)

    assert Incident.objects.get().cause == "payout_stuck:1"


@pytest.mark.django_db
def test_the_later_stage_of_a_deposit_is_told_to_one_person_more(trouble: Trouble) -> None:
    make_vera()
    make_boris()
    set_rota("vera", "boris")
    trouble.seen(Cause("deposit_waits", key="1:2", level=0))
    trouble.seen(Cause("deposit_waits", key="1:2"), Cause("deposit_waits", key="1:4", level=1))

    assert [cause for cause, _, _ in told()] == [
        "deposit_waits:1:2",
        "deposit_waits:1:4",
        "deposit_waits:1:4",
    ]


# --- two watches at once --------------------------------------------------------------------------


def race(cause: Cause, at: dt.datetime) -> None:
    """Two watches see the same cause in the same moment."""
    both = threading.Barrier(2)

    def look() -> None:
        memory = following.Memory()
        both.wait(5)
        for _ in range(3):
            following.follow(following.Sighting(at, {"trouble": [cause]}), memory)
        connection.close()

    watches = [threading.Thread(target=look) for _ in range(2)]
    for watch in watches:
        watch.start()
    for watch in watches:
        watch.join(20)


def test_two_watches_open_one_incident_and_tell_of_it_once(
    committed_db: Clone, clock: Clock
) -> None:
    make_vera()
    for number in range(3):
        race(Cause("payout_stuck", key=str(number)), clock())

    assert Incident.objects.count() == 3
    assert Alert.objects.count() == 3


def test_without_the_constraint_they_would_open_two(committed_db: Clone, clock: Clock) -> None:
    """The negative control: it is the database that keeps them apart, not luck."""
    make_vera()
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX incident_one_open_per_cause")

    def open_at_once() -> bool:
        race(Cause("payout_stuck", key=str(Incident.objects.count())), clock())
        causes = Incident.objects.values_list("cause", flat=True)
        return len(causes) > len(set(causes))

    assert any(open_at_once() for _ in range(30))
