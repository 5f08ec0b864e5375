"""Payments with a chain, for notices about money; a broker that loses them."""

from __future__ import annotations

from tests.advertmarket.messaging.conftest import own_broker
from tests.payments.conftest import api_version, bank, chain, mother_of_chains

__all__ = ["api_version", "bank", "chain", "mother_of_chains", "own_broker"]
