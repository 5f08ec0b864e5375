"""Payments with a chain, deals that are paid on it, and a database that goes away."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from tests.database import Clone
from tests.deals.market import FundedMarket
from tests.payments.bank import Bank
from tests.payments.conftest import api_version, bank, chain, mother_of_chains

__all__ = ["api_version", "bank", "chain", "mother_of_chains"]


@pytest.fixture
def funded_market(bank: Bank) -> FundedMarket:
    """Deals that are paid on a local chain, committed."""
    return FundedMarket(bank)


@pytest.fixture
def dead_database(committed_db: Clone, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody answers on PostgreSQL's port any more."""
    wrapper = connections["default"]
    assert isinstance(wrapper, DatabaseWrapper)
    with monkeypatch.context() as patch:
        wrapper.close()
        wrapper.close_pool()
        patch.setitem(wrapper.settings_dict, "PORT", 9)
        patch.setitem(wrapper.settings_dict["OPTIONS"]["pool"], "timeout", 0.2)
        yield
        wrapper.close()
        wrapper.close_pool()
