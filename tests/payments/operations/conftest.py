"""A desk with two operators, on a chain of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from payments.ton import client
from tests.payments.bank import Bank
from tests.payments.operations.desk import Desk


@pytest.fixture
def desk(bank: Bank) -> Iterator[Desk]:
    """Ann and Boris, who see the test's own chain."""
    client.reading.cache_clear()
    yield Desk(bank)
    client.reading().close()
    client.reading.cache_clear()
