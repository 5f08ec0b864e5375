"""What the books are told of deposits: once for each deposit, or for each deal."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, Account, PerDeal
from payments.books.ledger import Line
from payments.models import Deposit, Escrow, Journal

ACTOR = Actor.system("deposit-watcher")
"""Decides where no operator does."""


@requires_transaction
def move(*, deposit: Deposit, shares: dict[PerDeal, int], actor: Actor, at: dt.datetime) -> None:
    """Give a deposit of a locked escrow to the deal's accounts, each its share in nanoTON; once."""
    ledger.post(
        kind=Journal.Kind.ALLOCATED,
        key=f"allocate:{_place_of(deposit)}",
        lines=_lines(deposit.escrow_id, PerDeal.DEPOSIT_PENDING, shares),
        actor=actor,
        at=at,
    )


@requires_transaction
def promote(*, escrow: Escrow, shares: dict[PerDeal, int], actor: Actor, at: dt.datetime) -> None:
    """Give what lay below a deal's price to its accounts, each its share in nanoTON; once."""
    ledger.post(
        kind=Journal.Kind.PARTIAL_PROMOTE,
        key=f"promote:{escrow.reference}",
        lines=_lines(escrow.reference, PerDeal.PARTIAL_DEPOSIT, shares),
        actor=actor,
        at=at,
    )


@requires_transaction
def write_off_dust_of(
    *, deposit: Deposit, kind: PerDeal, amount_nano: int, actor: Actor, at: dt.datetime
) -> None:
    """Write off the dust (nanoTON) that a deposit brought to its deal's account of a kind; once."""
    write_off(
        account=kind.of(deposit.escrow_id),
        amount_nano=amount_nano,
        what=_place_of(deposit),
        actor=actor,
        at=at,
    )


@requires_transaction
def write_off(
    *, account: Account, amount_nano: int, what: str, actor: Actor, at: dt.datetime
) -> None:
    """Write off the dust (nanoTON) in an account, once for each `what`."""
    ledger.post(
        kind=Journal.Kind.DUST_WRITEOFF,
        key=f"writeoff:{what}",
        lines=[Line(account, DUST_WRITEOFF, amount_nano)],
        actor=actor,
        at=at,
    )


def _lines(reference: UUID, source: PerDeal, shares: dict[PerDeal, int]) -> list[Line]:
    return [Line(source.of(reference), to.of(reference), nano) for to, nano in shares.items()]


def _place_of(deposit: Deposit) -> str:
    row = deposit.chain_transaction
    return f"{row.wallet.address}:{row.lt}"
