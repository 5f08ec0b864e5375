"""Waiting for those who write: nobody's id is passed over, and nobody is kept waiting."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from django.db import connection, transaction

from advertmarket import db
from tests.payments.threads import elsewhere, unfinished

pytestmark = pytest.mark.usefixtures("tables")

LONG_S = 10.0


@pytest.fixture
def tables(committed_db: object) -> None:
    run("CREATE TABLE watched (id int)")
    run("CREATE TABLE other (id int)")


def run(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def write() -> None:
    run("INSERT INTO watched VALUES (1)")


def is_quiet(at_most_s: float) -> bool:
    return db.wait_for_writers("watched", at_most_s=at_most_s)


def test_whoever_writes_is_waited_for_until_the_end() -> None:
    with unfinished(write):
        assert not is_quiet(0.05)

    assert is_quiet(LONG_S)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM watched",
        "SELECT * FROM watched FOR UPDATE",
        "LOCK TABLE watched IN SHARE UPDATE EXCLUSIVE MODE",
        "INSERT INTO other VALUES (1)",
    ],
)
def test_nobody_else_is_waited_for(statement: str) -> None:
    with unfinished(lambda: run(statement)):
        assert is_quiet(0)


def test_our_own_writing_is_not_waited_for() -> None:
    with transaction.atomic():
        write()
        assert is_quiet(0)


def test_those_who_begin_later_are_not_waited_for_and_do_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = unfinished(write), unfinished(write)
    first.__enter__()

    def meanwhile(_seconds: float) -> None:
        elsewhere(write)
        second.__enter__()
        first.__exit__(None, None, None)

    monkeypatch.setattr(db, "time", SimpleNamespace(sleep=meanwhile, monotonic=time.monotonic))

    assert is_quiet(LONG_S)
    second.__exit__(None, None, None)
