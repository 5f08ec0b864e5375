"""Test databases: one template, migrated once, and clones of it.

Nothing is ever flushed: the append-only tables refuse TRUNCATE, and a clone takes less time.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import django
import psycopg
from django.apps import apps
from django.core.management import call_command
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from sandbox.process import free_port
from tests.waiting import wait_until

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Clone:
    """A database of one's own, as migrations leave it."""

    name: str

    @property
    def env(self) -> dict[str, str]:
        """What a child process needs, beside this process's environment, to use it."""
        return {"DB_NAME": self.name}


class Databases:
    """Makes and drops databases on the server that the settings name."""

    def __init__(self) -> None:
        parameters = _default().get_connection_params()
        self._server = psycopg.connect(**parameters, autocommit=True)
        self._server.execute("SET lock_timeout = 0")  # for the template we wait
        self.template = f"test_template_{_schema_digest()}"

    def close(self) -> None:
        """Close the connection to the server."""
        self._server.close()

    @contextmanager
    def clone(self, of: str = "") -> Iterator[Clone]:
        """Make a clone of the template, and drop it afterwards with whoever is connected.

        `of` names another database, to which nobody else is connected: this process lets it go.
        """
        if of:
            _disconnect()
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, of or self.template)
        try:
            yield Clone(name)
        finally:
            wait_until(lambda: self._drop(name), what=f"the end of {name}")

    def _drop(self, name: str) -> bool:
        """Drop a database; not while autovacuum is there, which only a superuser may end."""
        try:
            self._run("DROP DATABASE {} WITH (FORCE)", name)
        except InsufficientPrivilege:
            return False
        return True

    def ensure_template(self) -> None:
        """Migrate the template database, unless it is there; one process does, others wait."""
        lock = "SELECT pg_advisory_lock(hashtext(%s))", "SELECT pg_advisory_unlock(hashtext(%s))"
        self._server.execute(lock[0], [self.template])
        try:
            if not self._template_is_ready():
                self._build_template()
        finally:
            self._server.execute(lock[1], [self.template])

    def _template_is_ready(self) -> bool:
        query = "SELECT 1 FROM pg_database WHERE datname = %s AND datistemplate"
        return self._server.execute(query, [self.template]).fetchone() is not None

    def _build_template(self) -> None:
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.template)  # half built
        self._run("CREATE DATABASE {}", self.template)
        with pointed_to(self.template):
            call_command("migrate", verbosity=0, interactive=False)
        self._run("ALTER DATABASE {} IS_TEMPLATE true ALLOW_CONNECTIONS false", self.template)

    def _run(self, statement: str, *names: str) -> None:
        self._server.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def pointed_to(name: str) -> Iterator[None]:
    """Point Django's default connection, in all threads, to the database `name`."""
    options = connections.settings["default"]
    before = options["NAME"]
    _disconnect()
    options["NAME"] = name
    try:
        yield
    finally:
        _disconnect()
        options["NAME"] = before


@contextmanager
def nowhere() -> Iterator[None]:
    """Let nothing listen where Django looks for PostgreSQL, in all threads."""
    options = connections.settings["default"]
    before = options["PORT"]
    _disconnect()
    options["PORT"] = free_port()
    try:
        yield
    finally:
        _disconnect()
        options["PORT"] = before


def _disconnect() -> None:
    _default().close()
    _default().close_pool()


def _default() -> DatabaseWrapper:
    wrapper = connections["default"]
    assert isinstance(wrapper, DatabaseWrapper)
    return wrapper


def _schema_digest() -> str:
    """Return a digest of all that decides what `migrate` makes."""
    digest = hashlib.sha256(django.__version__.encode())
    for app in sorted(apps.get_app_configs(), key=lambda app: app.label):
        for path in sorted(Path(app.path, "migrations").rglob("*")):
            if path.suffix in {".py", ".sql"}:
                digest.update(str(path).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
