"""Worlds to live in, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.database import Databases
from tests.payments.doomed import Doomed
from tests.payments.mothers import Mother

from .world import Worlds


@pytest.fixture(scope="session")
def worlds(
    databases: Databases,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    mother_of_chains: Mother,
    doomed: Doomed,
) -> Iterator[Worlds]:
    with django_db_blocker.unblock():
        yield Worlds(databases, mother_of_chains, doomed)
