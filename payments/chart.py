"""The chart of accounts: what each account is called, and which may go below zero."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType
from uuid import UUID

Account = NewType("Account", str)
"""An account's code, such as "ESCROW:6f1c…"."""

EXTERNAL_TON = Account("EXTERNAL_TON")
"""The chain seen from inside; every posting that touches it names the wallet."""

NETWORK_FEES = Account("NETWORK_FEES")
"""What the chain took, less what refunds contributed."""

HUBS = frozenset({EXTERNAL_TON, NETWORK_FEES})
"""May go below zero; they keep no running balance, since every deposit would queue on one row."""


class PerDeal(StrEnum):
    """Accounts of one deal; each deal has its own wallet on chain."""

    DEPOSIT_PENDING = "DEPOSIT_PENDING"
    ESCROW = "ESCROW"
    OWNER_PENDING = "OWNER_PENDING"
    COMMISSION = "COMMISSION"

    def of(self, reference: UUID) -> Account:
        """Return the account of this kind of one deal."""
        return Account(f"{self.value}:{reference}")


class PerWallet(StrEnum):
    """Accounts of one wallet, by its subwallet number."""

    BOUNCED = "BOUNCED"
    UNSOLICITED = "UNSOLICITED"

    def of(self, subwallet: int) -> Account:
        """Return the account of this kind of one wallet."""
        return Account(f"{self.value}:{subwallet}")


DEBTS = (PerDeal.DEPOSIT_PENDING, PerDeal.ESCROW, PerDeal.OWNER_PENDING)
"""What a deal's wallet owes to others: gas is never paid from these."""
