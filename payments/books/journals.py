"""Which accounts each kind of journal may move money between, and how its key is made. Pure data.

`ledger.post` refuses a journal that does something else; docs/money.md shows this table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from payments.models import Journal

from .chart import (
    DUST_WRITEOFF,
    EXTERNAL_TON,
    IN_TRANSIT,
    NETWORK_FEES,
    PLATFORM_TREASURY,
    Account,
    PerDeal,
    PerWallet,
)

_K, _D, _W = Journal.Kind, PerDeal, PerWallet
_GIVEN_BACK = (_D.REFUND_PENDING, _D.OVERPAYMENT, _D.LATE_DEPOSIT, _D.PARTIAL_DEPOSIT)
_REFUNDED = (*_GIVEN_BACK, _W.RETURNING)


@dataclass(frozen=True)
class Leg:
    """Money goes from one of `debit` to one of `credit`; the journal's key looks like `key`."""

    debit: tuple[str, ...]
    credit: tuple[str, ...]
    key: str


def _leg(debit: str | tuple[str, ...], credit: str | tuple[str, ...], key: str) -> Leg:
    return Leg(
        (debit,) if isinstance(debit, str) else debit,
        (credit,) if isinstance(credit, str) else credit,
        key,
    )


_IN, _OUT = "in:{wallet}:{lt}", "out:{wallet}:{lt}"
LEGS: dict[Journal.Kind, tuple[Leg, ...]] = {
    _K.RECEIVED: (
        _leg(EXTERNAL_TON, (_D.DEPOSIT_PENDING, IN_TRANSIT, _W.BOUNCED, _W.UNSOLICITED), _IN),
    ),
    _K.ALLOCATED: (_leg(_D.DEPOSIT_PENDING, (_D.ESCROW, *_GIVEN_BACK), "allocate:{wallet}:{lt}"),),
    _K.NETWORK_FEE: (_leg(NETWORK_FEES, EXTERNAL_TON, "fee:{wallet}:{lt}"),),
    _K.PARTIAL_PROMOTE: (_leg(_D.PARTIAL_DEPOSIT, (_D.ESCROW, _D.OVERPAYMENT), "promote:{deal}"),),
    _K.ESCROW_RELEASE: (_leg(_D.ESCROW, (_D.OWNER_PENDING, _D.COMMISSION), "release:{deal}"),),
    _K.ESCROW_REFUND: (_leg(_D.ESCROW, _D.REFUND_PENDING, "refund:{deal}"),),
    _K.PARTIAL_REFUND: (
        _leg(_D.ESCROW, (_D.REFUND_PENDING, _D.OWNER_PENDING, _D.COMMISSION), "split:{deal}"),
    ),
    _K.UNCLAIMED_REFUND: (
        _leg((_D.OWNER_PENDING, _D.COMMISSION), _D.REFUND_PENDING, "unclaimed:{settlement}"),
    ),
    _K.UNSOLICITED_REFUND: (
        _leg(_W.UNSOLICITED, _W.RETURNING, "return:{settlement}"),
        _leg(_W.RETURNING, _W.UNSOLICITED, "unreturned:{settlement}"),
    ),
    _K.OWNER_WITHDRAWAL: (_leg(_D.OWNER_PENDING, EXTERNAL_TON, _OUT),),
    _K.REFUND_SENT: (_leg(_REFUNDED, (EXTERNAL_TON, NETWORK_FEES), _OUT),),
    _K.COMMISSION_SWEEP: (
        _leg(_D.COMMISSION, PLATFORM_TREASURY, "sweep:{settlement}"),
        _leg(IN_TRANSIT, EXTERNAL_TON, _OUT),
    ),
    _K.GAS_TOPUP: (_leg(IN_TRANSIT, EXTERNAL_TON, _OUT),),
    _K.TREASURY_WITHDRAWAL: (_leg(PLATFORM_TREASURY, EXTERNAL_TON, _OUT),),
    _K.LOST_DEAL: (
        _leg(_W.UNSOLICITED, (EXTERNAL_TON, PLATFORM_TREASURY), _OUT),
        _leg(IN_TRANSIT, EXTERNAL_TON, _OUT),
    ),
    _K.BOUNCE: (
        _leg(
            (_W.BOUNCED, NETWORK_FEES),
            (_D.OWNER_PENDING, *_REFUNDED, _W.UNSOLICITED, PLATFORM_TREASURY, IN_TRANSIT),
            "bounce:{wallet}:{lt}",
        ),
    ),
    _K.DUST_WRITEOFF: (
        _leg(_GIVEN_BACK, DUST_WRITEOFF, "writeoff:{settlement or deposit}"),
        _leg(_W.UNSOLICITED, (DUST_WRITEOFF, PLATFORM_TREASURY), "claim:{request}"),
    ),
    _K.FEE_ADJUSTMENT: (_leg(PLATFORM_TREASURY, NETWORK_FEES, "fees:{request}"),),
    _K.REVERSAL: (
        _leg(DUST_WRITEOFF, (*_GIVEN_BACK, _W.UNSOLICITED), "reversal:{journal}"),
        _leg(_D.REFUND_PENDING, (_D.OWNER_PENDING, _D.COMMISSION), "reversal:{journal}"),
        _leg(PLATFORM_TREASURY, _W.UNSOLICITED, "reversal:{journal}"),
        _leg(NETWORK_FEES, PLATFORM_TREASURY, "reversal:{journal}"),
    ),
}


def allows(kind: Journal.Kind, key: str, moves: Iterable[tuple[Account, Account]]) -> bool:
    """Return whether a journal of this kind and key may make these moves (debit, credit)."""
    prefix = key.partition(":")[0]
    legs = [leg for leg in LEGS[kind] if leg.key.partition(":")[0] == prefix]
    return all(
        any(_name(debit) in leg.debit and _name(credit) in leg.credit for leg in legs)
        for debit, credit in moves
    )


def _name(account: Account) -> str:
    return account.partition(":")[0]
