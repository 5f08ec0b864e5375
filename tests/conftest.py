"""What all tests stand on: the environment, the databases, Redis, the books' checks."""

from __future__ import annotations

import os
from collections.abc import Iterator

import django
import pytest
from pytest_django.plugin import DjangoDbBlocker

from sandbox.scratch import scratch_dir
from sandbox.services import Services
from tests import environment

if "DB_HOST" not in os.environ:
    pytest.exit("start the tests with: python -m sandbox.services run -- pytest", returncode=2)

_own_services: Services | None = None
if "PYTEST_XDIST_WORKER" in os.environ:
    # workers share PostgreSQL; Redis and Kafka have names that could not be told apart
    _own_services = Services(scratch_dir(), ephemeral=True, names={"valkey", "kafka"})
    _own_services.start()
    os.environ.update(_own_services.env)

for _name, _value in environment.VARIABLES.items():
    os.environ.setdefault(_name, _value)
django.setup()
# a worker that inherited it would have its settings loaded before its own Redis runs
os.environ.pop("DJANGO_SETTINGS_MODULE")

import redis  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import translation  # noqa: E402

from ops import checks  # noqa: E402
from tests.database import Clone, Databases, pointed_to  # noqa: E402

# nobody's password is guarded here, and a slow hash takes half a second for each operator
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_unconfigure() -> None:
    """Stop the worker's own services."""
    if _own_services is not None:
        _own_services.stop()


@pytest.fixture(scope="session")
def databases(django_db_blocker: DjangoDbBlocker) -> Iterator[Databases]:
    """The maker of clones; the template is ready."""
    databases = Databases()
    with django_db_blocker.unblock():
        databases.ensure_template()
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def django_db_setup(
    databases: Databases, django_db_blocker: DjangoDbBlocker, django_test_environment: None
) -> Iterator[None]:
    """This process's clone, for tests that are rolled back (instead of pytest-django's flush)."""
    blocker = django_db_blocker
    with blocker.unblock(), databases.clone() as clone, pointed_to(clone.name), blocker.block():
        yield


@pytest.fixture
def committed_db(
    databases: Databases, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Clone]:
    """A fresh clone for a test that commits: Django uses it in all threads, then it is dropped."""
    with django_db_blocker.unblock(), databases.clone() as clone, pointed_to(clone.name):
        yield clone


@pytest.fixture
def transactional_db() -> None:
    """Refuse pytest-django's own way, which ends with TRUNCATE."""
    pytest.fail("use committed_db")


@pytest.fixture(autouse=True)
def nobody_chose_a_language() -> Iterator[None]:
    """Undo what a request of the test client leaves active: its person's language."""
    yield
    translation.deactivate()


@pytest.fixture
def english() -> Iterator[None]:
    """Whoever asks reads English, and not the installation's language."""
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def redis_is_empty() -> Iterator[None]:
    """Leave nothing in Redis to the next test."""
    yield
    with redis.Redis.from_url(settings.REDIS_STATE_URL) as client:
        client.flushall()


@pytest.fixture(autouse=True)
def books_are_right(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the operators' checks after each test that used a database."""
    used = "committed_db" if "committed_db" in request.fixturenames else _rolled_back_db(request)
    if used is None or request.node.get_closest_marker("leaves_findings"):
        yield
        return
    request.getfixturevalue(used)
    yield
    # a refused statement may have aborted the database transaction: nothing is there to check
    if connection.is_usable() or not connection.in_atomic_block:
        assert checks.run_all() == {}


def _rolled_back_db(request: pytest.FixtureRequest) -> str | None:
    marked = request.node.get_closest_marker("django_db") is not None
    return "db" if marked or "db" in request.fixturenames else None
