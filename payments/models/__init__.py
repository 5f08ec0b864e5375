"""The tables of the money. Only this app writes them; the books only through `ledger.post`."""

from __future__ import annotations

from .books import AccountBalance, Journal, Posting
from .chain import ChainCursor, TonTransaction, Wallet
from .escrows import Deposit, Escrow
from .operators import CommissionTier, OperatorRequest
from .pauses import PauseChange, PauseEpoch
from .settlements import Settlement

__all__ = [
    "AccountBalance",
    "ChainCursor",
    "CommissionTier",
    "Deposit",
    "Escrow",
    "Journal",
    "OperatorRequest",
    "PauseChange",
    "PauseEpoch",
    "Posting",
    "Settlement",
    "TonTransaction",
    "Wallet",
]
