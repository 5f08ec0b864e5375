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

IN_TRANSIT = Account("IN_TRANSIT")
"""Between own wallets: below zero by what has left one and not yet reached the other."""

HUBS = frozenset({EXTERNAL_TON, NETWORK_FEES, IN_TRANSIT})
"""May go below zero; they keep no running balance, since every deposit would queue on one row."""

PLATFORM_TREASURY = Account("PLATFORM_TREASURY")
"""The platform's own: swept commission."""

DUST_WRITEOFF = Account("DUST_WRITEOFF")
"""What was too little to give back: gas would eat it."""


class PerDeal(StrEnum):
    """Accounts of one deal; each deal has its own wallet on chain."""

    DEPOSIT_PENDING = "DEPOSIT_PENDING"
    ESCROW = "ESCROW"
    PARTIAL_DEPOSIT = "PARTIAL_DEPOSIT"
    OVERPAYMENT = "OVERPAYMENT"
    LATE_DEPOSIT = "LATE_DEPOSIT"
    REFUND_PENDING = "REFUND_PENDING"
    OWNER_PENDING = "OWNER_PENDING"
    COMMISSION = "COMMISSION"

    def of(self, reference: UUID) -> Account:
        """Return the account of this kind of one deal."""
        return Account(f"{self.value}:{reference}")


class PerWallet(StrEnum):
    """Accounts of one wallet, by its subwallet number."""

    BOUNCED = "BOUNCED"
    UNSOLICITED = "UNSOLICITED"
    RETURNING = "RETURNING"

    def of(self, subwallet: int) -> Account:
        """Return the account of this kind of one wallet."""
        return Account(f"{self.value}:{subwallet}")


DEBTS = tuple(kind for kind in PerDeal if kind is not PerDeal.COMMISSION)
"""What a deal's wallet owes to others: gas is never paid from these."""


class Side(StrEnum):
    """Whose money an account holds."""

    ESCROW = "escrow"
    """Whose it is the deal decides."""

    OWED = "owed"
    """Somebody's: it goes to them."""

    NOBODYS = "nobodys"
    """It came unasked, and nobody is known whose it is."""

    OWN = "own"
    """The platform's."""


SIDES: dict[str, Side] = {
    PerDeal.DEPOSIT_PENDING: Side.OWED,
    PerDeal.ESCROW: Side.ESCROW,
    PerDeal.PARTIAL_DEPOSIT: Side.OWED,
    PerDeal.OVERPAYMENT: Side.OWED,
    PerDeal.LATE_DEPOSIT: Side.OWED,
    PerDeal.REFUND_PENDING: Side.OWED,
    PerDeal.OWNER_PENDING: Side.OWED,
    PerDeal.COMMISSION: Side.OWN,
    PerWallet.BOUNCED: Side.OWED,
    PerWallet.UNSOLICITED: Side.NOBODYS,
    PerWallet.RETURNING: Side.OWED,
    PLATFORM_TREASURY: Side.OWN,
    DUST_WRITEOFF: Side.OWN,
}
"""The side of each account that keeps a balance, by its name."""

MEANING: dict[str, str] = {
    EXTERNAL_TON: "the chain seen from inside, for each wallet",
    NETWORK_FEES: "what the chain took (gas, forwarding, storage), less what refunds contributed",
    IN_TRANSIT: "between own wallets: below zero by what is on its way",
    PerDeal.DEPOSIT_PENDING: "arrived; its rule is not applied yet (confirmations, operator)",
    PerDeal.ESCROW: "the advertiser's money while the deal runs",
    PerDeal.PARTIAL_DEPOSIT: "below the price, waiting for the rest",
    PerDeal.OVERPAYMENT: "above the price, going back",
    PerDeal.LATE_DEPOSIT: "came after the end, going back",
    PerDeal.REFUND_PENDING: "owed back to the advertiser, not yet sent",
    PerDeal.OWNER_PENDING: "earned by the channel's owner, not yet sent",
    PerDeal.COMMISSION: "the platform's share, not yet swept",
    PerWallet.BOUNCED: "a transfer of ours that came back, until it is owed again",
    PerWallet.UNSOLICITED: "nobody's: spam, jetton notices, strangers' sends to the treasury",
    PerWallet.RETURNING: "came unasked, and goes back to whom operators know that it is",
    PLATFORM_TREASURY: "the platform's own: swept commission",
    DUST_WRITEOFF: "what was too little to give back",
}
"""What each account holds, by its name."""
