"""`manage.py watch` as it is started in production: killed, doubled, without its database."""

from __future__ import annotations

import signal
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from advertmarket.messaging.models import OutboxMessage
from advertmarket.messaging.outbox import publish
from ops.models import Alert, Incident
from payments.events import SettlementDue
from sandbox.process import Child
from sandbox.services import Services
from sandbox.telegram.control import Telegram
from tests.database import Clone
from tests.ops.incidents.conftest import VERA, make_vera
from tests.ops.incidents.outside import Hook
from tests.waiting import wait_until

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(150)]

HOUSE = Path(__file__).parents[3]
StartWatch = Callable[..., Child]


@pytest.fixture
def start_watch(
    committed_db: Clone, telegram: Telegram, tmp_path: Path, settings: Settings
) -> Iterator[StartWatch]:
    """Starts `manage.py watch` on the test's database, Telegram and hook."""
    children: list[Child] = []

    def start(**env: str) -> Child:
        child = Child(
            "watch",
            [sys.executable, "manage.py", "watch"],
            log=tmp_path / f"watch-{len(children)}.log",
            cwd=HOUSE,
            env={
                **committed_db.env,
                "PROCESS_ROLE": "watch",
                "TON_WALLET_MNEMONIC": "",
                "TELEGRAM_API_URL": telegram.url,
                "ALERT_HOOK_URL": settings.ALERT_HOOK_URL,
                **env,
            },
        )
        children.append(child)
        child.wait_for_line("watch started")
        return child

    yield start
    for child in children:
        child.kill()


def fail_an_event() -> None:
    """Something that is an incident at once: an event that can never be sent."""
    with transaction.atomic():
        due = SettlementDue(deal_id=uuid.uuid4(), settlement_id=uuid.uuid4())
        publish(due, key=uuid.uuid4().hex, at=timezone.now())
    OutboxMessage.objects.update(status="FAILED", error="too large")


def of_it(hook: Hook) -> list[str]:
    """What came by hook about that event."""
    return [post["reason"] for post in hook.posts if post["cause"] == "outbox_failed"]


def in_telegram(telegram: Telegram) -> list[str]:
    """What came in Telegram about that event."""
    texts = [message["text"] for message in telegram.messages(VERA)]
    return [text for text in texts if "events can never be sent" in text]


def test_it_tells_people_and_leaves_in_good_order(
    start_watch: StartWatch, telegram: Telegram, hook: Hook
) -> None:
    make_vera()
    watch = start_watch()
    fail_an_event()

    wait_until(lambda: of_it(hook) and in_telegram(telegram), 40, "both alerts")
    watch.send_signal(signal.SIGTERM)

    assert watch.wait(20) == 0
    assert "watch stopped" in watch.output()
    assert of_it(hook) == ["OPENED"]


def test_two_of_them_tell_of_it_once_and_the_second_takes_over(
    start_watch: StartWatch, telegram: Telegram, hook: Hook
) -> None:
    make_vera()
    first = start_watch()
    first.wait_for_line("this watch is the one that tells", 40)
    second = start_watch()
    fail_an_event()
    wait_until(lambda: of_it(hook) and in_telegram(telegram), 40, "both alerts")
    assert "this watch is the one that tells" not in second.output()

    first.kill()
    second.wait_for_line("this watch is the one that tells", 40)
    taken_over_at = timezone.now()
    seen = Incident.objects.filter(cause="outbox_failed", last_seen_at__gt=taken_over_at)
    wait_until(seen.exists, 40, "a turn of the second")

    assert of_it(hook) == ["OPENED"]
    assert len(in_telegram(telegram)) == 1
    assert Incident.objects.filter(cause="outbox_failed").count() == 1


@pytest.mark.parametrize("executes", [True, False])
def test_killed_between_writing_and_recording_it_is_told_once_more_at_most(
    start_watch: StartWatch, telegram: Telegram, hook: Hook, executes: bool
) -> None:
    make_vera()
    telegram.fault("sendMessage", executes=executes, delay_ms=30_000, lost=True)
    watch = start_watch()
    fail_an_event()
    wait_until(lambda: not telegram.state()["faults"] and of_it(hook), 60, "both calls")
    if executes:
        wait_until(lambda: in_telegram(telegram), what="the message")
    watch.kill()
    alert = Alert.objects.get(channel="TELEGRAM", incident__cause="outbox_failed")
    assert (alert.state, alert.attempts, alert.perhaps_sent) == ("PENDING", 1, True)

    Alert.objects.filter(pk=alert.pk).update(due_at=timezone.now())  # a minute has passed
    start_watch()
    wait_until(
        lambda: Alert.objects.filter(pk=alert.pk, state="SENT").exists(), 40, "the second attempt"
    )

    told = in_telegram(telegram)
    assert len(told) == (2 if executes else 1)
    assert told[-1].endswith("Sent once more: it is not known whether this arrived before.")
    assert of_it(hook) == ["OPENED"]


def test_postgresql_is_killed_under_it(
    start_watch: StartWatch, telegram: Telegram, hook: Hook, tmp_path: Path
) -> None:
    root = Path(tempfile.mkdtemp(prefix="advertmarket-postgres-"))
    with Services(root, ephemeral=False, names={"postgres"}) as services:
        migrate = Child(
            "migrate",
            [sys.executable, "manage.py", "migrate", "-v0"],
            env=services.env,
            log=tmp_path / "migrate.log",
            cwd=HOUSE,
        )
        assert migrate.wait(90) == 0, migrate.output()
        with own_database(services) as session:
            session.execute(
                "INSERT INTO operators (username, password, is_superuser, is_staff, is_active,"
                " first_name, last_name, email, date_joined, telegram_id, language)"
                " VALUES ('vera', '', true, true, true, '', '', '', now(), %s, 'en')",
                [VERA],
            )
        watch = start_watch(**services.env, DEADMAN_URL=hook.url)
        wait_until(lambda: hook.asked, 40, "a whole turn")
        services.kill("postgres")

        def told() -> list[str]:
            return [post["text"] for post in hook.posts if post["cause"] == "database_down"]

        wait_until(lambda: told() and telegram.messages(VERA), 80, "both alarms")
        assert told()[0].startswith("P0 · PostgreSQL не отвечает")
        [message] = telegram.messages(VERA)
        assert message["text"].startswith("P0 · PostgreSQL does not answer")

        services.restart("postgres")
        wait_until(lambda: len(told()) == 2, 60, "the end")
        assert told()[1].startswith("P0 · кончилось · PostgreSQL не отвечает")
        with own_database(services) as session:
            query = "SELECT gone_at IS NOT NULL FROM incidents WHERE cause = 'database_down'"
            assert session.execute(query).fetchall() == [(True,)]
        assert watch.returncode is None


def own_database(services: Services) -> psycopg.Connection:
    env = services.env
    return psycopg.connect(
        host=env["DB_HOST"],
        port=int(env["DB_PORT"]),
        dbname=env["DB_NAME"],
        user=env["DB_USER"],
        password=env["DB_PASSWORD"],
        autocommit=True,
    )
