"""Public health: is the process alive, and can it serve?

Each check has 2 s, runs beside the others on a connection of its own, and never runs twice at the
same time: one that hangs is down until it answers, and takes no thread from a request.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

import psycopg
import redis
from django.conf import settings
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from psycopg.conninfo import make_conninfo

from advertmarket.messaging import kafka

from . import draining

logger = logging.getLogger(__name__)

LIMIT_S = 2.0


class MigrationsMissing(RuntimeError):
    """The database is older than the code."""


def check_database() -> None:
    """Ask PostgreSQL for a number.

    Raises:
        psycopg.Error: it did not give one.
    """
    with _connect() as connection:
        connection.execute("SELECT 1")


def check_migrations() -> None:
    """Compare the migrations of the code with those of the database.

    Raises:
        MigrationsMissing: some are not applied.
        psycopg.Error: PostgreSQL did not answer.
    """
    with _connect() as connection:
        rows = connection.execute("SELECT app, name FROM django_migrations").fetchall()
    missing = _migrations_of_the_code() - set(rows)
    if missing:
        raise MigrationsMissing(", ".join(".".join(name) for name in sorted(missing)))


def check_redis() -> None:
    """Ping Redis.

    Raises:
        redis.RedisError: it did not answer.
    """
    with redis.Redis.from_url(
        settings.REDIS_STATE_URL, socket_connect_timeout=LIMIT_S, socket_timeout=LIMIT_S
    ) as client:
        client.ping()


def check_kafka() -> None:
    """Ask the brokers for their metadata.

    Raises:
        confluent_kafka.KafkaException: none answered.
    """
    kafka.ping(timeout_s=LIMIT_S * 0.75)


class Probes:
    """Runs checks side by side and says which of them failed within the limit."""

    def __init__(self, checks: Mapping[str, Callable[[], None]]) -> None:
        self._checks = checks
        self._pool: ThreadPoolExecutor | None = None
        self._running: dict[str, Future[None]] = {}
        self._lock = threading.Lock()

    def failures(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return the failed checks of `names` with their reason, after at most 2 s."""
        started = time.monotonic()
        futures = {name: self._start(name) for name in names}
        wait(futures.values(), timeout=LIMIT_S)
        failed = {}
        for name, future in futures.items():
            if not future.done():
                failed[name] = f"no answer in {time.monotonic() - started:.1f} s"
            elif error := future.exception():
                failed[name] = f"{type(error).__name__}: {error}"
        return failed

    def _start(self, name: str) -> Future[None]:
        with self._lock:
            running = self._running.get(name)
            if running is None or running.done():
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(len(self._checks), thread_name_prefix="health")
                running = self._running[name] = self._pool.submit(self._checks[name])
            return running


probes = Probes(
    {
        "database": check_database,
        "migrations": check_migrations,
        "redis": check_redis,
        "kafka": check_kafka,
    }
)


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Whether the service works: 503 DOWN without database, Redis or Kafka, or OUT_OF_SERVICE."""
    return _answer("database", "redis", "kafka")


@require_safe
def readiness(request: HttpRequest) -> JsonResponse:
    """Whether this process may get requests: what health wants, and the database's migrations."""
    return _answer("database", "redis", "kafka", "migrations")


@require_safe
def liveness(request: HttpRequest) -> JsonResponse:
    """Whether this process answers at all."""
    return _status("UP")


@require_safe
def info(request: HttpRequest) -> JsonResponse:
    """What runs here."""
    return JsonResponse(settings.BUILD)


def _answer(*names: str) -> JsonResponse:
    if draining.is_draining():
        return _status("OUT_OF_SERVICE")
    failed = probes.failures(names)
    if failed:
        logger.warning("not healthy", extra={"failed": failed})
    return _status("DOWN" if failed else "UP")


def _status(status: str) -> JsonResponse:
    """Answer to the letter: probes and people compare the text."""
    return JsonResponse(
        {"status": status},
        status=200 if status == "UP" else 503,
        json_dumps_params={"separators": (",", ":")},
        headers={"Cache-Control": "no-store"},
    )


def _connect() -> psycopg.Connection[tuple[object, ...]]:
    database = settings.DATABASES["default"]
    where = {
        key: str(database[name])
        for key, name in {
            "host": "HOST",
            "port": "PORT",
            "dbname": "NAME",
            "user": "USER",
            "password": "PASSWORD",
        }.items()
    }
    return psycopg.connect(
        make_conninfo(
            **where,
            application_name="advertmarket-health",
            connect_timeout=int(LIMIT_S),
            options=f"-c statement_timeout={int(LIMIT_S * 1000)}",
        ),
        autocommit=True,
    )


@functools.cache
def _migrations_of_the_code() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).disk_migrations or {})
