"""The test databases themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import ProgrammingError, connection, connections, transaction
from pytest_django.plugin import DjangoDbBlocker

from tests import environment
from tests.database import Clone, Databases, pointed_to


@contextmanager
def another_clone(databases: Databases) -> Iterator[Clone]:
    with databases.clone() as clone, pointed_to(clone.name):
        yield clone


def rows_of_probe() -> int | None:
    """How many rows the table `probe` has; None if there is no such table."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('probe')")
        if cursor.fetchone() == (None,):
            return None
        cursor.execute("SELECT count(*) FROM probe")
        (count,) = cursor.fetchone() or (None,)
        return count


def commit_a_row() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS probe (id int)")
        cursor.execute("INSERT INTO probe VALUES (1)")


def test_a_clone_sees_nothing_of_another(databases: Databases, committed_db: Clone) -> None:
    commit_a_row()
    with another_clone(databases) as other:
        assert other.name != committed_db.name
        assert rows_of_probe() is None
    assert rows_of_probe() == 1


@pytest.mark.parametrize("run", ["first", "second"])
def test_committed_rows_do_not_reach_the_next_test(committed_db: Clone, run: str) -> None:
    assert rows_of_probe() is None
    commit_a_row()
    assert rows_of_probe() == 1


def test_all_threads_use_the_clone(committed_db: Clone) -> None:
    commit_a_row()
    seen: list[int | None] = []

    def look() -> None:
        seen.append(rows_of_probe())
        connections.close_all()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [1]


@pytest.mark.thorough
def test_a_child_process_uses_the_clone(committed_db: Clone) -> None:
    commit_a_row()
    program = (
        "import django; django.setup(); from django.db import connection; "
        "cursor = connection.cursor(); cursor.execute('SELECT count(*) FROM probe'); "
        "print(cursor.fetchone()[0])"
    )
    output = subprocess.check_output(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**environment.VARIABLES, **os.environ, **committed_db.env},
        text=True,
    )
    assert output == "1\n"


def test_a_clone_is_dropped_with_whoever_is_still_connected(
    databases: Databases, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> None:
    left = threading.Event()

    with django_db_blocker.unblock():
        with another_clone(databases) as clone:
            connected = threading.Event()

            def stay() -> None:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                connected.set()
                left.wait(10)
                connections.close_all()

            thread = threading.Thread(target=stay)
            thread.start()
            connected.wait(10)
        left.set()
        thread.join()
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_database WHERE datname = %s", [clone.name])
            assert cursor.fetchone() == (0,)


@pytest.mark.parametrize("run", ["first", "second"])
@pytest.mark.django_db
def test_rolled_back_tests_share_a_clone_and_leave_nothing(run: str) -> None:
    assert rows_of_probe() is None
    commit_a_row()


@pytest.mark.django_db
def test_the_clone_has_the_migrations(databases: Databases) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) > 0 FROM django_migrations")
        assert cursor.fetchone() == (True,)


@pytest.mark.django_db
def test_the_template_is_built_once_and_cannot_be_entered(databases: Databases) -> None:
    query = "SELECT oid, datallowconn FROM pg_database WHERE datistemplate AND datname = %s"
    with connection.cursor() as cursor:
        cursor.execute(query, [databases.template])
        (before,) = cursor.fetchall()
        databases.ensure_template()
        cursor.execute(query, [databases.template])
        assert cursor.fetchall() == [before]
    assert before[1] is False


def test_a_table_that_refuses_truncate_needs_none(committed_db: Clone) -> None:
    commit_a_row()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'append only' USING ERRCODE = 'insufficient_privilege'; END $$"
        )
        cursor.execute("CREATE TRIGGER keep BEFORE TRUNCATE ON probe EXECUTE FUNCTION refuse()")
        with pytest.raises(ProgrammingError, match="append only"):
            cursor.execute("TRUNCATE probe")
    assert rows_of_probe() == 1
