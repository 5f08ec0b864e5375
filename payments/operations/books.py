"""What operators post: corrections, and the platform's own money."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from pydantic import Field

from advertmarket.actors import Actor
from advertmarket.db import constraints
from advertmarket.errors import Code, DomainError
from advertmarket.money import MAX_NANO, NANO_PER_TON
from advertmarket.ton_address import parse_address
from payments import ledger, settlements
from payments.chart import (
    DUST_WRITEOFF,
    NETWORK_FEES,
    PLATFORM_TREASURY,
    Account,
    PerWallet,
)
from payments.ledger import Line
from payments.models import Journal, Settlement, Wallet
from payments.settlements import TREASURY_REFERENCE
from payments.wallets import TREASURY

from .registry import FourEyes, Payload, operation

TREASURY_KEEPS_NANO = NANO_PER_TON
"""1 TON stays in the treasury, for gas."""


class NotReversible(DomainError):
    """The journal says what the chain did, or is a reversal itself, or there is none."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("This journal cannot be reversed: {problem}.")


class NoColdAddress(DomainError):
    """The installation names no cold address."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("Set TREASURY_COLD_ADDRESS first; the treasury is withdrawn to nowhere else.")


class TooMuchForTheTreasury(DomainError):
    """The treasury does not have that much beside the gas that it keeps."""

    code: ClassVar[Code] = Code.INSUFFICIENT_BALANCE
    message = _("The treasury can give {most_nano} nanoTON at most.")


class AJournal(Payload):
    """A journal, by its reference."""

    tx_ref: UUID


class AnAmount(Payload):
    """An amount of the platform's own money."""

    nano: int = Field(gt=0, le=MAX_NANO)
    key: UUID

    def amount_nano(self) -> int:
        """Return the amount."""
        return self.nano


class AnUnsolicitedSum(AnAmount):
    """Nobody's money in a wallet, by its subwallet number."""

    subwallet: int


@operation("journal.reverse", AJournal, four_eyes=FourEyes.ALWAYS)
def reverse(
    payload: AJournal, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Correct a mistake of an operator: post the journal again the other way round.

    What was written off is owed again and held. What the chain did, and what was decided about an
    escrow, cannot be reversed: its money may be on its way. There, a payout is cancelled into a
    refund.

    Raises:
        NotReversible: it is none of these, there is none, or it was reversed before; or what was
            written off would be owed beside another transfer of its kind.
        InsufficientFunds: the money has moved on.
    """
    journal = Journal.objects.filter(pk=payload.tx_ref).first()
    if journal is None:
        raise NotReversible(problem=_("there is none"))
    written_off = _written_off(journal)
    is_claim = journal.key.startswith("claim:")
    if written_off is None and not is_claim and journal.kind != Journal.Kind.FEE_ADJUSTMENT:
        raise NotReversible(problem=_("its money may be on its way, or is too little"))
    key = f"reversal:{journal.tx_ref}"
    if Journal.objects.filter(key=key).exists():
        raise NotReversible(problem=_("it was reversed before"))
    ledger.post(
        kind=Journal.Kind.REVERSAL,
        key=key,
        lines=[
            Line(Account(posting.credit), Account(posting.debit), posting.amount_nano)
            for posting in journal.postings.order_by("pk")
        ],
        actor=actor,
        at=at,
    )
    if written_off is not None and written_off.state == Settlement.State.CANCELLED:
        beside = NotReversible(problem=_("another transfer of its kind must be over first"))
        with constraints({"settlement_one_open_per_kind": beside}):
            settlements.hold(settlement=written_off, reason="was written off by mistake", at=at)


def _written_off(journal: Journal) -> Settlement | None:
    """Return the settlement that a journal wrote off, its wallet and itself locked."""
    settlement_id = journal.key.removeprefix("writeoff:").partition(":")[0]
    try:
        wallet_id = Settlement.objects.values_list("wallet_id", flat=True).get(pk=settlement_id)
    except (ValidationError, Settlement.DoesNotExist):
        return None
    Wallet.objects.select_for_update(no_key=True).get(pk=wallet_id)
    return Settlement.objects.select_for_update(no_key=True).get(pk=settlement_id)


@operation("treasury.bear_fees", AnAmount, four_eyes=FourEyes.ALWAYS)
def bear_fees(
    payload: AnAmount, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Let the treasury bear what the network took, so that its account is what it can spend.

    Raises:
        InsufficientFunds: the treasury's account holds less.
    """
    ledger.post(
        kind=Journal.Kind.FEE_ADJUSTMENT,
        key=f"fees:{payload.key}",
        lines=[Line(PLATFORM_TREASURY, NETWORK_FEES, payload.nano)],
        actor=actor,
        at=at,
    )


@operation("treasury.claim", AnUnsolicitedSum, four_eyes=FourEyes.ALWAYS)
def claim(
    payload: AnUnsolicitedSum, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Count what came unasked as the platform's: ours in the treasury, written off elsewhere.

    Raises:
        InsufficientFunds: so much did not come.
    """
    to = PLATFORM_TREASURY if payload.subwallet == TREASURY else DUST_WRITEOFF
    ledger.post(
        kind=Journal.Kind.DUST_WRITEOFF,
        key=f"claim:{payload.key}",
        lines=[Line(PerWallet.UNSOLICITED.of(payload.subwallet), to, payload.nano)],
        actor=actor,
        at=at,
    )


@operation("treasury.withdraw", AnAmount, four_eyes=FourEyes.ALWAYS)
def withdraw(
    payload: AnAmount, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Owe a part of the treasury to the cold address. One withdrawal at a time.

    Raises:
        NoColdAddress: the installation names none.
        TooMuchForTheTreasury: books or wallet do not have it, beside 1 TON for gas.
    """
    if not settings.TREASURY_COLD_ADDRESS:
        raise NoColdAddress
    cold = parse_address(settings.TREASURY_COLD_ADDRESS, network=settings.TON_NETWORK)
    treasury = Wallet.objects.select_for_update(no_key=True).get(subwallet=TREASURY)
    most = min(ledger.balance(PLATFORM_TREASURY), treasury.balance_nano - TREASURY_KEEPS_NANO)
    if payload.nano > most:
        raise TooMuchForTheTreasury(most_nano=max(0, most))
    settlements.owe(
        kind=Settlement.Kind.TREASURY_WITHDRAWAL,
        reference=TREASURY_REFERENCE,
        wallet=treasury,
        destination=cold,
        amount_nano=payload.nano,
        at=at,
    )
