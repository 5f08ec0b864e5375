"""`manage.py db_activity`: who is connected, who waits for whom, and the end of one, audited."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from psycopg import sql

from advertmarket.audit.models import AuditEntry
from ops.management.commands import db_activity
from tests.database import Clone
from tests.hanging import database_at
from tests.operators import hire
from tests.waiting import wait_until


class Somebody:
    """Another process, connected to the database."""

    def __init__(self, clone: Clone, name: str) -> None:
        database = settings.DATABASES["default"]
        self.connection: psycopg.Connection[Any] = psycopg.connect(
            host=str(database["HOST"]),
            port=str(database["PORT"]),
            user=str(database["USER"]),
            password=str(database["PASSWORD"]),
            dbname=clone.name,
            application_name=name,
        )
        self.pid = self.connection.info.backend_pid

    def lock_journals(self) -> None:
        """Hold the table, or wait for who holds it."""
        self.connection.execute(sql.SQL("LOCK TABLE ledger_journals IN EXCLUSIVE MODE"))

    def is_there(self) -> bool:
        """Whether PostgreSQL still has the connection."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [self.pid])
            return cursor.fetchone() is not None


@pytest.fixture
def holder(committed_db: Clone) -> Iterator[Somebody]:
    """Somebody who holds a lock and does nothing."""
    somebody = Somebody(committed_db, "advertmarket-worker")
    somebody.lock_journals()
    yield somebody
    somebody.connection.close()


@pytest.fixture
def waiter(committed_db: Clone, holder: Somebody) -> Iterator[Somebody]:
    """Somebody who waits for it."""
    somebody = Somebody(committed_db, "advertmarket-web")

    def wait() -> None:
        with pytest.raises(psycopg.Error):
            somebody.lock_journals()

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: _is_blocked(somebody.pid), what="somebody waits")
    yield somebody
    somebody.connection.cancel()
    thread.join()
    somebody.connection.close()


def _is_blocked(pid: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [pid])
        (blocked,) = cursor.fetchone()
    return bool(blocked)


def test_who_waits_for_whom_is_shown_the_oldest_first(
    holder: Somebody, waiter: Somebody, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("db_activity")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("a process takes up to 16 (DB_POOL_MAX)")
    assert "     1  advertmarket-worker" in lines
    assert "     1  advertmarket-web" in lines
    assert max(map(len, lines)) <= db_activity.WIDTH < 100
    shown = [line for line in lines if line.split()[:1] in ([f"{holder.pid}"], [f"{waiter.pid}"])]
    assert shown[0].endswith(" s  idle in transaction, advertmarket-worker")
    assert shown[1].endswith(" s  active, advertmarket-web")
    below = lines.index(shown[1])
    assert lines[below + 1] == f"          waits for {holder.pid} (advertmarket-worker)"
    assert lines[below + 2] == "          LOCK TABLE ledger_journals IN EXCLUSIVE MODE"


def test_who_does_nothing_is_counted_only(
    committed_db: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    idle = Somebody(committed_db, "advertmarket-beat")
    idle.connection.commit()

    call_command("db_activity")

    out = capsys.readouterr().out
    assert "     1  advertmarket-beat" in out
    assert f"{idle.pid}" not in out
    idle.connection.close()


def test_an_end_is_audited(holder: Somebody, capsys: pytest.CaptureFixture[str]) -> None:
    olga = hire("olga", "operate_money")

    call_command("db_activity", terminate=holder.pid, operator="olga", reason="it holds all up")

    wait_until(lambda: not holder.is_there(), what="the connection ends")
    entry = AuditEntry.objects.get(action="database.terminated")
    assert (entry.actor_kind, entry.actor_id) == ("operator", str(olga))
    assert (entry.action, entry.object_id) == ("database.terminated", str(holder.pid))
    assert entry.before == {"application": "advertmarket-worker", "state": "idle in transaction"}
    assert entry.reason == "it holds all up"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "name the --operator"),
        ({"operator": "olga"}, "name the --operator"),
        ({"reason": "x"}, "name the --operator"),
        ({"operator": "nobody", "reason": "x"}, "no active operator nobody"),
        ({"operator": "olga", "reason": " "}, "Say why"),
    ],
)
def test_without_a_name_and_a_reason_nobody_is_ended(
    holder: Somebody, options: dict[str, str], problem: str
) -> None:
    hire("olga", "operate_money")

    with pytest.raises(CommandError, match=problem):
        call_command("db_activity", terminate=holder.pid, **options)

    assert holder.is_there()
    assert not AuditEntry.objects.filter(action="database.terminated").exists()


def test_who_is_not_of_this_database_is_not_ended(committed_db: Clone) -> None:
    hire("olga", "operate_money")
    other = Somebody(Clone("postgres"), "psql")

    for pid in (other.pid, connection_pid(), 1):
        with pytest.raises(CommandError, match=f"has the number {pid}"):
            call_command("db_activity", terminate=pid, operator="olga", reason="x")

    assert other.is_there()
    assert not AuditEntry.objects.filter(action="database.terminated").exists()
    other.connection.close()


def connection_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


def test_a_database_that_is_away_is_one_line(committed_db: Clone) -> None:
    away = pytest.raises(CommandError, match=r"PostgreSQL: .*port 9 failed: Connection refused")
    with database_at(9), away as told:
        call_command("db_activity")

    assert "\n" not in str(told.value)
