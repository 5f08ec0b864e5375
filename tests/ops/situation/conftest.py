"""Money on a chain, for what stands when it waits."""

from __future__ import annotations

from tests.payments.conftest import api_version, bank, chain, mother_of_chains

__all__ = ["api_version", "bank", "chain", "mother_of_chains"]
