"""A turn of the watch, whatever is dead: what hangs or raises is seen, and the rest goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from advertmarket.state import redis_state
from ops.incidents import deadman, look, outage, rota, services
from ops.incidents import detectors as registry
from ops.incidents.causes import Cause
from ops.incidents.detectors import Detector, Untold
from ops.incidents.look import Lookout
from ops.incidents.watch import Watch
from ops.models import Alert, Incident
from sandbox.process import LOOPBACK, free_port
from sandbox.telegram.control import Telegram
from tests.database import Clone, nowhere
from tests.ops.incidents.conftest import VERA, Clock, Trouble, make_operator, make_vera
from tests.ops.incidents.outside import Hook
from tests.redis_elsewhere import state_at

STUCK = Cause("payout_stuck", key="1", facts={"amount": "90"})


def make_watch(clock: Clock, *detectors: Detector) -> Watch:
    return Watch(clock, Lookout(clock, detectors))


@pytest.fixture
def watch(committed_db: Clone, clock: Clock, trouble: Trouble) -> Iterator[Watch]:
    """A watch that sees what `trouble` says."""
    watch = make_watch(clock, trouble.detector)
    yield watch
    watch.leave()


def test_what_is_wrong_is_told(watch: Watch, trouble: Trouble, hook: Hook) -> None:
    trouble.causes = [STUCK]

    watch.turn()

    assert watch.finish(limit_s=10)
    assert [post["cause"] for post in hook.posts] == ["payout_stuck:1"]


def test_one_detector_that_raises_is_an_incident_and_the_others_go_on(
    committed_db: Clone, clock: Clock, trouble: Trouble
) -> None:
    def broken() -> Iterator[Cause]:
        raise ZeroDivisionError("a bug")

    trouble.causes = [STUCK]
    watch = make_watch(clock, Detector("broken", 0, broken), trouble.detector)
    watch.turn()
    clock.move(seconds=30)
    watch.turn()
    watch.leave()

    failed = Incident.objects.get(kind="detector_failed")
    assert (failed.cause, failed.severity) == ("detector_failed:broken", "P2")
    assert failed.facts == {"detector": "broken", "error": "ZeroDivisionError: a bug"}
    assert Incident.objects.filter(cause="payout_stuck:1").exists()


def test_one_that_hangs_is_an_incident_too_and_is_not_begun_twice(
    committed_db: Clone, clock: Clock, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look, "LIMIT_S", 0.2)
    release = threading.Event()
    begun: list[float] = []

    def hanging() -> Iterator[Cause]:
        begun.append(time.monotonic())
        release.wait(20)
        yield from ()

    trouble.causes = [STUCK]
    watch = make_watch(clock, Detector("hanging", 0, hanging), trouble.detector)
    watch.turn()
    clock.move(seconds=30)
    watch.turn()
    release.set()
    watch.leave()

    assert len(begun) == 1
    failed = Incident.objects.get(kind="detector_failed")
    assert failed.facts["error"].startswith("Silent: no answer in 0.2 s")
    assert Incident.objects.filter(cause="payout_stuck:1").exists()


def test_what_another_detector_says_is_no_incident_of_this_one(
    watch: Watch, clock: Clock, trouble: Trouble
) -> None:
    trouble.error = Untold()
    for _ in range(3):
        watch.turn()
        clock.move(minutes=1)

    assert not Incident.objects.exists()


def test_a_detector_is_asked_as_often_as_it_wants_and_counts_in_between(
    committed_db: Clone, clock: Clock
) -> None:
    asked: list[object] = []

    def slow() -> Iterator[Cause]:
        asked.append(clock.now)
        yield STUCK

    watch = make_watch(clock, Detector("slow", 60, slow))
    for _ in range(13):
        watch.turn()
        clock.move(seconds=5)
    watch.leave()

    assert len(asked) == 2
    assert Incident.objects.get().last_seen_at == clock.move(seconds=-5)


def test_one_watches_and_the_other_stands_by_until_it_is_gone(
    committed_db: Clone, clock: Clock, trouble: Trouble, hook: Hook
) -> None:
    trouble.causes = [STUCK]
    first, second = (make_watch(clock, trouble.detector) for _ in range(2))
    first.turn()
    for _ in range(3):
        second.turn()
    assert Incident.objects.count() == 1
    trouble.causes = [STUCK, Cause("outbox_failed")]
    second.turn()
    assert Incident.objects.count() == 1

    first.leave()
    second.turn()

    assert Incident.objects.count() == 2
    second.leave()
    assert sorted(post["cause"] for post in hook.posts) == ["outbox_failed", "payout_stuck:1"]


def test_a_watch_whose_turns_keep_failing_lets_the_other_lead(
    watch: Watch, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> int:
        raise ZeroDivisionError("a bug")

    other = make_watch(clock, Detector("other", 0, lambda: iter([STUCK])))
    with monkeypatch.context() as broken:
        broken.setattr(rota, "levels", fail)
        for _ in range(12):
            watch.turn()
            clock.move(seconds=5)
    other.turn()
    assert not Incident.objects.exists()  # a minute has not passed
    with monkeypatch.context() as broken:
        broken.setattr(rota, "levels", fail)
        watch.turn()

    watch.turn()  # it has let go, and rests
    other.turn()

    assert Incident.objects.get().cause == "payout_stuck:1"
    other.leave()


def cut_off_the_leader() -> None:
    """End the connection that holds the lock, if there is one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )


def test_a_watch_that_loses_its_connection_loses_the_lock_and_takes_it_again(
    watch: Watch, clock: Clock, trouble: Trouble
) -> None:
    watch.turn()
    cut_off_the_leader()
    trouble.causes = [STUCK]

    watch.turn()
    watch.turn()

    assert Incident.objects.count() == 1


# --- without Redis, without PostgreSQL ------------------------------------------------------------


def test_without_redis_people_are_told_all_the_same(
    watch: Watch, trouble: Trouble, telegram: Telegram, hook: Hook, settings: Settings
) -> None:
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")
    make_vera()
    trouble.causes = [STUCK]

    watch.turn()

    assert watch.finish(limit_s=20)
    assert len(hook.posts) == 1
    paused = "Payouts are paused: Redis cannot be read (ConnectionError)."
    assert paused in telegram.messages(VERA)[0]["text"]


@contextmanager
def database_down() -> Iterator[None]:
    """PostgreSQL is gone, and with it the connection that holds the lock."""
    cut_off_the_leader()
    with nowhere():
        yield


def told_from_memory(watch: Watch) -> None:
    """Take a turn without PostgreSQL, and wait for what is told."""
    watch.turn()
    assert watch.finish(limit_s=10)


def test_without_postgresql_people_are_told_from_memory_until_it_is_back(
    watch: Watch, clock: Clock, telegram: Telegram, hook: Hook
) -> None:
    make_vera()
    watch.turn()
    with database_down():
        told_from_memory(watch)
        clock.move(seconds=29)
        told_from_memory(watch)
        assert (hook.posts, telegram.messages(VERA)) == ([], [])
        for seconds in (1, 5):
            clock.move(seconds=seconds)
            told_from_memory(watch)

        [post] = hook.posts
        assert (post["severity"], post["cause"]) == ("P0", "database_down")
        [message] = telegram.messages(VERA)
        assert message["text"].startswith("P0 · PostgreSQL does not answer")
        assert "reply_markup" not in message

        redis_state().flushdb()  # the claim of five minutes is over
        clock.move(minutes=5)
        told_from_memory(watch)
        assert len(hook.posts) == len(telegram.messages(VERA)) == 2

    watch.turn()
    assert watch.finish(limit_s=10)

    incident = Incident.objects.get()
    assert (incident.cause, incident.severity) == ("database_down", "P0")
    assert incident.gone_at == clock.now
    assert incident.since_at < incident.opened_at
    assert hook.posts[2]["text"].startswith("P0 · over · PostgreSQL does not answer")
    assert len(telegram.messages(VERA)) == 3
    watch.turn()
    assert Alert.objects.count() == 2


def postgresql_is_away(watch: Watch, clock: Clock) -> None:
    """PostgreSQL is away for as long as it takes until people are told."""
    redis_state().flushdb()  # the claim of an earlier one is over
    with database_down():
        for seconds in (5, 30, 5):
            clock.move(seconds=seconds)
            told_from_memory(watch)
    clock.move(seconds=5)
    told_from_memory(watch)


def test_a_second_outage_before_the_first_is_resolved_is_another_episode_of_it(
    watch: Watch, clock: Clock, trouble: Trouble, hook: Hook
) -> None:
    vera = make_operator("vera")
    watch.turn()
    postgresql_is_away(watch, clock)
    incident = Incident.objects.get()
    with transaction.atomic():
        services.acknowledge(incident_id=incident.pk, actor=vera, at=clock())
    clock.move(hours=1)
    postgresql_is_away(watch, clock)

    incident.refresh_from_db()
    assert (incident.episode, incident.acknowledged_at) == (2, None)
    assert incident.since_at < incident.last_seen_at == incident.gone_at == clock.now
    told = len(hook.posts)
    trouble.causes = [STUCK]
    told_from_memory(watch)
    assert [post["cause"] for post in hook.posts[told:]] == ["payout_stuck:1"]


def test_an_outage_that_cannot_be_written_down_silences_no_other_alarm(
    watch: Watch, clock: Clock, trouble: Trouble, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(outage, "open_past", fail)
    watch.turn()
    trouble.causes = [STUCK]
    postgresql_is_away(watch, clock)

    assert [post["cause"] for post in hook.posts] == ["database_down", "payout_stuck:1"]


def test_two_watches_tell_of_it_once_from_memory(
    watch: Watch, clock: Clock, trouble: Trouble, hook: Hook
) -> None:
    other = make_watch(clock, trouble.detector)
    watch.turn()
    other.turn()
    with database_down():
        for seconds in (0, 30, 5):
            clock.move(seconds=seconds)
            told_from_memory(watch)
            told_from_memory(other)

    assert [post["cause"] for post in hook.posts] == ["database_down"]

    for one in (watch, other, watch):
        one.turn()
    assert Incident.objects.count() == 1
    other.leave()


def test_without_postgresql_and_redis_people_are_told_nevertheless(
    watch: Watch, clock: Clock, hook: Hook, settings: Settings
) -> None:
    watch.turn()
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")
    with database_down():
        told_from_memory(watch)
        clock.move(seconds=30)
        told_from_memory(watch)

    assert [post["cause"] for post in hook.posts] == ["database_down"]


def test_a_watch_that_begins_without_postgresql_tells_those_whom_the_settings_name(
    watch: Watch, clock: Clock, hook: Hook
) -> None:
    with database_down():
        told_from_memory(watch)
        clock.move(seconds=30)
        told_from_memory(watch)

    assert [post["cause"] for post in hook.posts] == ["database_down"]


def test_a_hook_that_did_not_hear_of_it_is_told_again_soon(
    watch: Watch, clock: Clock, hook: Hook
) -> None:
    hook.status = 500
    watch.turn()
    with database_down():
        told_from_memory(watch)
        clock.move(seconds=30)
        told_from_memory(watch)
        hook.status = 200
        clock.move(seconds=15)
        told_from_memory(watch)

    assert [post["cause"] for post in hook.posts] == ["database_down"]


def refuse_to_write() -> None:
    """As with a full disk: PostgreSQL reads, and refuses every write."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'no space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
        for table in ("incidents", "incident_alerts", "incident_history"):
            cursor.execute(
                f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION refuse()"
            )


def write_again() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse CASCADE")


@pytest.mark.parametrize("one_waits", [False, True])
def test_people_hear_from_memory_of_a_postgresql_that_refuses_to_write(
    watch: Watch, clock: Clock, trouble: Trouble, hook: Hook, one_waits: bool
) -> None:
    trouble.causes = [STUCK]
    if one_waits:
        hook.status = 500
        told_from_memory(watch)
        hook.status = 200
    refuse_to_write()
    for seconds in (5, 29):
        clock.move(seconds=seconds)
        told_from_memory(watch)
        assert hook.posts == []
    clock.move(seconds=1)
    told_from_memory(watch)

    [post] = hook.posts
    assert (post["severity"], post["cause"]) == ("P0", "database_down")
    assert "no space left on device" in post["facts"]["error"]
    write_again()
    clock.move(seconds=5)
    for _ in range(2):
        told_from_memory(watch)
    told = sorted(post["cause"] for post in hook.posts[1:])
    assert told == ["database_down", "payout_stuck:1"]


def test_people_hear_from_memory_of_a_postgresql_that_is_read_only(
    watch: Watch, clock: Clock, trouble: Trouble, hook: Hook
) -> None:
    trouble.causes = [STUCK]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'standby' USING ERRCODE = 'read_only_sql_transaction'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON incidents"
            " FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    for _ in range(2):
        told_from_memory(watch)
        clock.move(seconds=30)

    assert [post["cause"] for post in hook.posts] == ["database_down"]


# --- the dead man's switch ------------------------------------------------------------------------


@pytest.fixture
def switch(hook: Hook, settings: Settings) -> Hook:
    """The hook's server is the outside service, too."""
    settings.DEADMAN_URL, settings.ALERT_HOOK_URL = settings.ALERT_HOOK_URL, ""
    return hook


def turns(watch: Watch, clock: Clock, number: int) -> None:
    for _ in range(number):
        watch.turn()
        assert watch.finish(limit_s=10)
        clock.move(seconds=5)


def test_the_switch_is_held_once_a_minute(watch: Watch, clock: Clock, switch: Hook) -> None:
    turns(watch, clock, 13)

    assert switch.asked == 2


def test_the_switch_is_let_go_when_a_turn_fails(
    watch: Watch, clock: Clock, trouble: Trouble, switch: Hook
) -> None:
    trouble.causes = [Cause("payout_stuck", key="x" * 300)]  # cannot be written
    turns(watch, clock, 3)

    assert switch.asked == 0


def test_the_switch_is_let_go_when_postgresql_is_away(
    watch: Watch, clock: Clock, switch: Hook
) -> None:
    with database_down():
        turns(watch, clock, 2)

    assert switch.asked == 0


def test_the_switch_is_let_go_when_a_grave_alarm_reaches_nobody(
    watch: Watch, clock: Clock, trouble: Trouble, switch: Hook
) -> None:
    trouble.causes = [STUCK]
    turns(watch, clock, 1)
    assert switch.asked == 1
    clock.move(minutes=6)
    turns(watch, clock, 1)

    assert switch.asked == 1


@pytest.mark.django_db
def test_that_an_alarm_was_heard_says_nothing_of_when_it_is_back(
    clock: Clock, trouble: Trouble
) -> None:
    make_vera()
    trouble.seen(STUCK)
    Alert.objects.update(state="SENT", sent_at=clock(), text="x")
    clock.move(minutes=10)
    trouble.seen()
    Alert.objects.filter(state="PENDING").update(state="FAILED", error="blocked")
    assert deadman.somebody_hears(at=clock())
    clock.move(days=1)
    trouble.seen(STUCK)
    clock.move(minutes=5)
    assert deadman.somebody_hears(at=clock())

    clock.move(seconds=1)

    assert not deadman.somebody_hears(at=clock())
    Alert.objects.filter(state="PENDING").update(state="SENT", sent_at=clock(), text="x")
    assert deadman.somebody_hears(at=clock())


@pytest.mark.django_db
def test_an_alarm_that_grows_and_reaches_nobody_is_not_heard(
    clock: Clock, trouble: Trouble
) -> None:
    for wallet in range(8):
        trouble.seen(Cause("wallets_frozen", facts={"count": 1}, subjects=[str(wallet)]))
        clock.move(minutes=1)

    assert not deadman.somebody_hears(at=clock())


def test_whoever_stands_by_does_not_hold_the_switch(
    watch: Watch, clock: Clock, trouble: Trouble, switch: Hook
) -> None:
    turns(watch, clock, 1)
    other = make_watch(clock, trouble.detector)
    turns(other, clock, 1)
    other.leave()

    assert switch.asked == 1


def test_a_switch_that_cannot_be_reached_disturbs_nobody(
    watch: Watch, clock: Clock, trouble: Trouble, settings: Settings
) -> None:
    settings.DEADMAN_URL = f"http://{LOOPBACK}:{free_port()}/"
    trouble.causes = [STUCK]
    turns(watch, clock, 2)

    assert Incident.objects.count() == 1


def test_every_detector_has_a_name_of_its_own() -> None:
    with pytest.raises(TypeError, match="two detectors alarms_arrive"):
        registry.detector()(registry.all_detectors()[0].look)
