"""A process dies while it sends a settlement of each kind, or books that it was sent."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from tests.payments.bank import OWNER_SHARE_NANO, PRICE_NANO
from tests.payments.owing import (
    EXCESS_NANO,
    LATE_NANO,
    PART_NANO,
    RETURNED_NANO,
    WAYS,
    WITHDRAWN_NANO,
)

from .life import CLEAN, Kind, Life, Scenario, make_due, nothing


def due(kind: Kind) -> Callable[[Life], UUID]:
    def prepare(life: Life) -> UUID:
        reference = WAYS[kind].owe(life.bank)
        make_due()
        return reference

    return prepare


def sent(kind: Kind) -> Callable[[Life], UUID]:
    def prepare(life: Life) -> UUID:
        reference = due(kind)(life)
        life.bank.execute()
        life.bank.chain.mine()
        return reference

    return prepare


for _kind, _owner_receives, _given_back in (
    (Kind.PAYOUT, (OWNER_SHARE_NANO,), ()),
    (Kind.REFUND, (), (PRICE_NANO,)),
    (Kind.PARTIAL_DEPOSIT_REFUND, (), (PART_NANO,)),
    (Kind.OVERPAYMENT_REFUND, (), (EXCESS_NANO,)),
    (Kind.LATE_DEPOSIT_REFUND, (), (LATE_NANO,)),
    (Kind.UNSOLICITED_REFUND, (), (RETURNED_NANO,)),
    (Kind.COMMISSION_SWEEP, (OWNER_SHARE_NANO,), ()),
    (Kind.GAS_TOPUP, (PRICE_NANO,), ()),
    (Kind.TREASURY_WITHDRAWAL, (WITHDRAWN_NANO,), ()),
):
    for _act, _prepare in (("execute", due(_kind)), ("read", sent(_kind))):
        _name = f"{_act}s_{_kind.lower()}"
        CLEAN.append(
            Scenario(_name, _act, _prepare, nothing, _owner_receives, _given_back, kind=_kind)
        )
