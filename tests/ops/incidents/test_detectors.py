"""What each detector sees, and what it lets pass."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import uuid
from collections import namedtuple

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone, translation
from pytest_django import Settings

from advertmarket.messaging import consumer, heartbeat, kafka
from advertmarket.messaging.models import DeadLetter, OutboxMessage
from advertmarket.messaging.outbox import publish
from advertmarket.state import redis_state
from advertmarket.telegram import inbox, outgoing
from advertmarket.telegram.models import OutgoingMessage, Update
from ops.incidents.causes import Cause
from ops.incidents.detectors import Untold, all_detectors
from ops.models import Alert, Incident, QueueHeartbeat
from ops.tasks import tick, tick_signer, tick_telegram
from payments.events import SettlementDue
from payments.sending import pause
from sandbox.process import LOOPBACK, free_port
from sandbox.telegram.control import Telegram
from tests.database import Clone
from tests.ops.incidents.conftest import ACTOR, VERA, Trouble, make_boris, make_vera, set_rota
from tests.ops.incidents.outside import Hook
from tests.ops.incidents.seeing import names, say, seen
from tests.redis_elsewhere import state_at

Usage = namedtuple("Usage", "total used free")


def ago(**duration: float) -> dt.datetime:
    return timezone.now() - dt.timedelta(**duration)


# --- services -------------------------------------------------------------------------------------


def test_redis(settings: Settings) -> None:
    assert seen("redis_answers") == []

    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")

    [cause] = seen("redis_answers")
    assert cause.id == "redis_down"
    assert cause.facts["error"].startswith("ConnectionError: ")


def test_an_epoch_that_redis_lost(committed_db: Clone, settings: Settings) -> None:
    assert seen("redis_remembers") == []  # before installation there is none
    with transaction.atomic():
        epoch = pause.confirm_epoch(actor=ACTOR, reason="test", at=timezone.now())
    assert seen("redis_remembers") == []

    redis_state().delete(pause.EPOCH_KEY)

    [cause] = seen("redis_remembers")
    assert (cause.id, cause.facts) == ("epoch_lost", {"found": "—", "expected": str(epoch)[:8]})
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")
    with pytest.raises(Untold):
        seen("redis_remembers")


def test_kafka(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen("kafka_answers") == []

    monkeypatch.setattr("ops.incidents.detectors.services.KAFKA_LIMIT_S", 0.3)
    settings.KAFKA_BOOTSTRAP_SERVERS = f"{LOOPBACK}:{free_port()}"
    kafka._asking_client.cache_clear()
    [cause] = seen("kafka_answers")
    kafka._asking_client.cache_clear()

    assert cause.id == "kafka_down"


@pytest.mark.django_db
def test_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen("connections_are_left") == []

    monkeypatch.setattr("ops.incidents.detectors.services.CONNECTIONS_PERCENT", 0)

    [cause] = seen("connections_are_left")
    assert cause.id == "connections_run_out"
    assert 0 < int(cause.facts["used"]) < int(cause.facts["limit"])


@pytest.mark.parametrize(
    ("used", "found"),
    [(79, []), (80, ["disk_filling"]), (90, ["disk_filling", "disk_full"])],
)
def test_disk(used: int, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    gb = 10**9
    usage = Usage(200 * gb, used * gb, (100 - used) * gb)  # half of it is root's, as df counts
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    causes = seen("disk_has_room")

    assert names(causes) == found
    for cause in causes:
        assert cause.facts == {"percent": used, "free_gb": f"{100 - used}.0"}


# --- Telegram -------------------------------------------------------------------------------------


def test_telegram(telegram: Telegram) -> None:
    assert seen("telegram_takes_the_token") == []

    telegram.fault("getMe", code=401)
    [refused] = seen("telegram_takes_the_token")
    assert (refused.id, refused.facts) == ("telegram_refused", {"error": "401 Unauthorized"})
    [still] = seen("telegram_takes_the_token")  # not asked again for a minute
    assert still.id == "telegram_refused"

    redis_state().flushdb()
    telegram.fault("getMe", code=502)
    [away] = seen("telegram_takes_the_token")
    assert (away.id, away.facts) == ("telegram_away", {"error": "502 Bad Gateway"})


def test_webhook(telegram: Telegram, settings: Settings, committed_db: Clone) -> None:
    [missing] = seen("updates_arrive")
    assert missing.facts == {"pending": 0, "error": "no webhook is registered"}

    settings.PUBLIC_URL = f"http://{LOOPBACK}:{free_port()}"
    call_command("register_webhook")
    assert seen("updates_arrive") == []

    telegram.start(VERA)  # nobody listens there
    for _ in range(200):
        if causes := seen("updates_arrive"):
            break
    [cause] = causes
    assert cause.id == "webhook_silent"
    assert cause.facts["pending"] == 1

    telegram.fault("getWebhookInfo", code=502)
    with pytest.raises(Untold):
        seen("updates_arrive")


# --- consumers ------------------------------------------------------------------------------------


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> str:
    """One of two consumer groups; the other one works."""
    monkeypatch.setattr(consumer, "groups", lambda: ["cg-test", "cg-works"])
    beat("cg-works")
    monkeypatch.setattr(consumer, "topics_of", lambda _: {"escrow.deposits", "deal.events"})
    return "cg-test"


def beat(group: str, status: heartbeat.Status = "running", lag: int = 0) -> None:
    heartbeat.beat(group, status=status, lag=lag, last_message_at=None, at=timezone.now())


def test_a_group_that_works(group: str) -> None:
    beat(group, lag=499)
    assert seen("consumers_work") == []


def test_a_group_without_a_reader(group: str) -> None:
    [cause] = seen("consumers_work")
    assert (cause.id, cause.facts) == ("consumer_silent:cg-test", {"group": "cg-test"})


def test_no_group_has_a_reader(group: str) -> None:
    redis_state().flushdb()

    assert names(seen("consumers_work")) == [
        "consumers_silent",
        "consumer_silent:cg-test",
        "consumer_silent:cg-works",
    ]


@pytest.mark.parametrize(
    ("status", "name"), [("stopped", "consumer_stopped"), ("retrying", "consumer_stalled")]
)
def test_a_group_that_does_not_go_on(group: str, status: heartbeat.Status, name: str) -> None:
    beat(group, status, lag=7)

    [cause] = seen("consumers_work")
    assert (cause.id, cause.facts["lag"]) == (f"{name}:cg-test", 7)


def test_a_group_that_lags(group: str) -> None:
    beat(group, lag=200)
    [mine] = redis_state().scan_iter(match=f"worker:{group}:*")
    redis_state().copy(mine, f"worker:{group}:elsewhere-1")
    beat(group, lag=300)

    [cause] = seen("consumers_work")
    assert cause.id == "consumer_lag:cg-test"
    assert cause.facts == {"group": "cg-test", "lag": 500, "limit": 500}


def test_without_redis_nothing_is_known_of_groups(group: str, settings: Settings) -> None:
    state_at(settings, f"redis://{LOOPBACK}:{free_port()}/0")
    with pytest.raises(Untold):
        seen("consumers_work")


def test_a_group_without_money_may_lag_more(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "topics_of", lambda _: {"deal.events"})
    beat(group, lag=1_999)
    assert seen("consumers_work") == []

    beat(group, lag=2_000)

    assert names(seen("consumers_work")) == ["consumer_lag:cg-test"]


@pytest.mark.django_db
def test_dead_letters() -> None:
    def set_aside(group: str, offset: int, created_at: dt.datetime) -> None:
        DeadLetter.objects.create(
            group=group,
            topic="deal.events",
            partition=0,
            offset=offset,
            written_at=created_at,
            headers=[],
            error=f"error {offset}",
            created_at=created_at,
        )

    set_aside("cg-a", 1, ago(hours=25))
    assert seen("records_are_applied") == []

    set_aside("cg-a", 2, ago(hours=2))
    set_aside("cg-a", 3, ago(hours=1))

    [cause] = seen("records_are_applied")
    assert cause.id == "dead_letters:cg-a"
    assert cause.facts == {"group": "cg-a", "count": 2, "error": "error 3"}


# --- Celery's queues ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_queues() -> None:
    assert names(seen("queues_work")) == [
        "celery_silent",
        "money_queue_silent:celery",
        "money_queue_silent:signer",
        "telegram_queue_silent:telegram",
    ]

    for one in (tick, tick_signer, tick_telegram):
        one()
    assert seen("queues_work") == []

    QueueHeartbeat.objects.filter(queue="signer").update(beaten_at=ago(seconds=61))
    [cause] = seen("queues_work")
    assert cause.id == "money_queue_silent:signer"
    assert cause.since is not None

    tick_signer()
    assert seen("queues_work") == []


# --- tables ---------------------------------------------------------------------------------------


def write_event(at: dt.datetime) -> OutboxMessage:
    with transaction.atomic():
        due = SettlementDue(deal_id=uuid.uuid4(), settlement_id=uuid.uuid4())
        publish(due, key=uuid.uuid4().hex, at=at)
    return OutboxMessage.objects.latest("id")


@pytest.mark.django_db
def test_events_that_wait() -> None:
    write_event(ago(minutes=4))
    write_event(ago(hours=1))
    OutboxMessage.objects.filter(pk=write_event(ago(hours=1)).pk).update(redeliveries=1)

    [cause] = seen("events_are_sent")

    assert (cause.id, cause.facts) == ("outbox_waits", {"count": 1, "topics": "escrow.commands"})


@pytest.mark.django_db
def test_events_that_can_never_be_sent_and_those_behind_them() -> None:
    failed = write_event(ago(hours=1))
    OutboxMessage.objects.filter(pk=failed.pk).update(status="FAILED", error="too large")
    behind = write_event(ago(hours=1))
    OutboxMessage.objects.filter(pk=behind.pk).update(key=failed.key)

    [cause] = seen("events_are_sent")

    assert cause.id == "outbox_failed"
    assert cause.facts == {
        "count": 1,
        "row": failed.pk,
        "event": "SETTLEMENT_DUE",
        "error": "too large",
    }


@pytest.mark.django_db
def test_messages_that_nobody_sends() -> None:
    def write(chat_id: int, due_at: dt.datetime) -> int:
        with transaction.atomic():
            return outgoing.say(chat_id=chat_id, text="x", at=due_at)

    write(1, ago(minutes=4))
    assert seen("due_rows_are_taken") == []

    first = write(2, ago(minutes=6))
    write(2, ago(minutes=6))  # behind the first: it is nobody's turn
    [cause] = seen("due_rows_are_taken")
    assert cause.id == "table_stands:telegram_outgoing"
    assert (cause.facts["count"], cause.facts["row"]) == (1, str(first))

    OutgoingMessage.objects.filter(pk=first).update(due_at=ago(minutes=-5))  # tried again later
    assert seen("due_rows_are_taken") == []


@pytest.mark.django_db
def test_updates_that_nobody_handles() -> None:
    body = {"update_id": 5, "message": {"chat": {"id": 1, "type": "private"}}}
    inbox.store(json.dumps(body).encode(), at=ago(minutes=6))

    [cause] = seen("due_rows_are_taken")
    assert (cause.id, cause.facts["row"]) == ("table_stands:telegram_updates", "5")
    assert {"telegram_away", "redis_down"} < set(cause.explained_by)

    Update.objects.update(state="DONE", done_at=timezone.now())
    assert seen("due_rows_are_taken") == []


@pytest.mark.django_db
def test_messages_about_money_that_did_not_arrive() -> None:
    def write(state: str, at: dt.datetime, *, about_money: bool = True) -> None:
        with transaction.atomic():
            pk = outgoing.say(chat_id=1, text="x", about_money=about_money, at=at)
        OutgoingMessage.objects.filter(pk=pk).update(state=state, error=f"{state} error")

    write("FAILED", ago(hours=25))
    write("FAILED", ago(hours=1), about_money=False)
    assert seen("people_are_told") == []

    write("FAILED", ago(hours=2))
    write("UNREACHABLE", ago(hours=1))

    [cause] = seen("people_are_told")
    assert cause.facts == {
        "count": 2,
        "failed": 1,
        "unreachable": 1,
        "error": "UNREACHABLE error",
    }


# --- alarms themselves ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_alarms_that_do_not_arrive(trouble: Trouble, hook: Hook) -> None:
    make_vera()
    make_boris()
    trouble.seen(Cause("outbox_failed"))
    assert seen("alarms_arrive") == []
    vera, boris, to_hook = Alert.objects.order_by("pk")

    Alert.objects.filter(pk=vera.pk).update(state="FAILED", error="403 Forbidden")
    Alert.objects.filter(pk=boris.pk).update(attempts=4, error="502", created_at=ago(minutes=6))
    Alert.objects.filter(pk=to_hook.pk).update(attempts=4, error="HTTP 500")  # a minute ago

    causes = seen("alarms_arrive")
    assert names(causes) == [
        f"alarm_unheard:TELEGRAM:{vera.recipient}",
        f"alarm_unheard:TELEGRAM:{boris.recipient}",
    ]
    with translation.override("en"):
        assert say(causes[0]).endswith("\n1 were not delivered. 403 Forbidden")
    assert Incident.objects.count() == 1


@pytest.mark.django_db
def test_nobody_to_be_woken(settings: Settings) -> None:
    assert names(seen("somebody_is_told")) == ["alarm_has_no_address"]

    settings.ALERT_HOOK_URL = "http://127.0.0.1:9/"
    assert seen("somebody_is_told") == []
    settings.ALERT_HOOK_URL = ""
    make_vera()
    set_rota("vera")
    assert seen("somebody_is_told") == []


# --- all of them ----------------------------------------------------------------------------------


def test_on_a_new_installation_each_can_tell(committed_db: Clone, telegram: Telegram) -> None:
    for one in all_detectors():
        seen(one.name)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM incidents")
        assert cursor.fetchone() == (0,)
