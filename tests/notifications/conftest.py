"""Payments with a chain, for notices about money."""

from __future__ import annotations

from tests.payments.conftest import bank, chain, mother_of_chains

__all__ = ["bank", "chain", "mother_of_chains"]
