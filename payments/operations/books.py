"""What operators post: corrections, and the platform's own money."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from pydantic import Field

from advertmarket.actors import Actor
from advertmarket.db import constraints
from advertmarket.errors import Code, DomainError
from advertmarket.money import NANO_PER_TON
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, NETWORK_FEES, PLATFORM_TREASURY, Account, PerWallet
from payments.books.ledger import Line
from payments.escrows import lock_escrow
from payments.models import Journal, Settlement, Wallet
from payments.sending import settlements
from payments.sending.settlements import TREASURY_REFERENCE
from payments.wallets import TREASURY, cold_address, lock_wallet, refuse_own

from .registry import FourEyes, Nano, Number, Payload, ToAddress, operation
from .settlements import lock_given_back, take_back_refund

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


class NotTheColdAddress(DomainError):
    """Another address was asked for, or the installation names another one by now."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("The treasury is withdrawn to TREASURY_COLD_ADDRESS only: that is another address.")


class TooMuchForTheTreasury(DomainError):
    """The treasury does not have that much beside the gas that it keeps."""

    code: ClassVar[Code] = Code.INSUFFICIENT_BALANCE
    message = _("The treasury can give {most_nano} nanoTON at most.")


class WithdrawalUnderWay(DomainError):
    """The treasury's account must hold what a withdrawal takes from it once it has landed."""

    message = _("A withdrawal of the treasury is under way; wait until it is over.")


class AJournal(Payload):
    """A journal, by its reference."""

    tx_ref: UUID


class AnAmount(Payload):
    """An amount of the platform's own money."""

    nano: Nano

    def amount_nano(self) -> int:
        """Return the amount."""
        return self.nano


class AnAmountOnce(AnAmount):
    """An amount that is posted once, however often its key is asked for."""

    key: UUID


class AnUnsolicitedSum(AnAmountOnce):
    """Nobody's money in a wallet, by its subwallet number."""

    subwallet: Number


def _cold_address() -> str:
    if not (cold := cold_address()):
        raise NoColdAddress
    return cold


class AWithdrawal(ToAddress, AnAmount):
    """A part of the treasury, for the cold address as it was when this was asked for."""

    address: str = Field(max_length=100, default_factory=_cold_address)

    def check(self) -> None:
        """Return if the installation names this address, and it can be used.

        Raises:
            NoColdAddress, NotTheColdAddress: it names none, or another one.
            OwnAddress, InvalidTonAddress: it names one that cannot be used.
        """
        if self.address != _cold_address():
            raise NotTheColdAddress
        refuse_own(self.address)


@operation("journal.reverse", AJournal, four_eyes=FourEyes.ALWAYS)
def reverse(
    payload: AJournal, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Correct a mistake of an operator: post the journal again the other way round.

    What was written off is owed again and held; so is a payout that was given back although it had
    left, once that is seen. What the chain did, and what was decided about an escrow, cannot be
    reversed: its money may be on its way. There, a payout is cancelled into a refund.

    Raises:
        NotReversible: it is none of these, or there is none; it was reversed, or its money swept.
        NotAsItStands: nothing shows that the payout had left; or its refund is over, or on its way.
        InsufficientFunds: the money has moved on.
        WithdrawalUnderWay: it may be taking the money.
    """
    journal = Journal.objects.filter(pk=payload.tx_ref).first()
    if journal is None:
        raise NotReversible(problem=_("there is none"))
    written_off = given_back = None
    if journal.key.startswith("writeoff:"):
        written_off = _lock_written_off(journal)
    elif journal.key.startswith("unclaimed:"):
        given_back = lock_given_back(journal)
    elif journal.key.startswith("claim:"):
        _lock_claimed(journal)
    elif journal.key.startswith("fees:"):
        _lock_treasury()
    else:
        raise NotReversible(problem=_("its money may be on its way"))
    key = f"reversal:{journal.tx_ref}"
    if Journal.objects.filter(key=key).exists():
        raise NotReversible(problem=_("it was reversed before"))
    if given_back is not None:
        take_back_refund(given_back, at=at)
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
    if written_off is not None:
        again = NotReversible(problem=_("another refund of the deal is under way"))
        with constraints({"settlement_one_open_per_kind": again}):
            settlements.hold(settlement=written_off, reason="was written off by mistake", at=at)


def _lock_written_off(journal: Journal) -> Settlement:
    """Return the locked settlement that a journal wrote off, if its wallet still has the money."""
    settlement_id = journal.key.split(":")[1]
    try:
        reference = Settlement.objects.values_list("reference", flat=True).get(pk=settlement_id)
    except (ValidationError, Settlement.DoesNotExist) as dust:
        raise NotReversible(problem=_("it was too little to give back")) from dust
    lock_escrow(reference)
    settlement = settlements.lock(UUID(settlement_id))
    _refuse_if_swept(settlement.wallet, journal)
    return settlement


def _lock_claimed(journal: Journal) -> None:
    """Lock the wallet that a claim was about, if it still has the money."""
    claimed = journal.postings.get().debit
    subwallet = int(claimed.removeprefix(f"{PerWallet.UNSOLICITED}:"))
    if subwallet == TREASURY:
        _lock_treasury()
    else:
        _refuse_if_swept(lock_wallet(subwallet), journal)


def _refuse_if_swept(wallet: Wallet, journal: Journal) -> None:
    """A sweep takes along all that is the platform's: from then on the wallet lacks it."""
    sweeps = Settlement.objects.filter(
        Q(confirmed_at=None) | Q(confirmed_at__gt=journal.posted_at),
        wallet=wallet,
        kind=Settlement.Kind.COMMISSION_SWEEP,
    )
    if sweeps.exclude(state=Settlement.State.CANCELLED).exists():
        raise NotReversible(problem=_("its money was swept into the treasury"))


@operation("treasury.bear_fees", AnAmountOnce, four_eyes=FourEyes.ALWAYS)
def bear_fees(
    payload: AnAmountOnce, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Let the treasury bear what the network took, so that its account is what it can spend.

    Raises:
        InsufficientFunds: the treasury's account holds less.
        WithdrawalUnderWay: it needs what the account holds.
    """
    _lock_treasury()
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
        NoSuchWallet: nothing has this number.
        InsufficientFunds: so much did not come.
    """
    lock_wallet(payload.subwallet)
    to = PLATFORM_TREASURY if payload.subwallet == TREASURY else DUST_WRITEOFF
    ledger.post(
        kind=Journal.Kind.DUST_WRITEOFF,
        key=f"claim:{payload.key}",
        lines=[Line(PerWallet.UNSOLICITED.of(payload.subwallet), to, payload.nano)],
        actor=actor,
        at=at,
    )


@operation("treasury.withdraw", AWithdrawal, four_eyes=FourEyes.ALWAYS)
def withdraw(
    payload: AWithdrawal, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Owe a part of the treasury to the cold address. One withdrawal at a time.

    Raises:
        DomainError: as `AWithdrawal.check`: the installation may name another address by now.
        TooMuchForTheTreasury: books or wallet do not have it, beside 1 TON for gas.
        WithdrawalUnderWay: one is.
    """
    payload.check()
    treasury = _lock_treasury()
    most = min(ledger.balance(PLATFORM_TREASURY), treasury.balance_nano - TREASURY_KEEPS_NANO)
    if payload.nano > most:
        raise TooMuchForTheTreasury(most_nano=max(0, most))
    settlements.owe(
        kind=Settlement.Kind.TREASURY_WITHDRAWAL,
        reference=TREASURY_REFERENCE,
        wallet=treasury,
        destination=payload.address,
        amount_nano=payload.nano,
        at=at,
    )


def _lock_treasury() -> Wallet:
    treasury = lock_wallet(TREASURY)
    withdrawals = Settlement.objects.filter(kind=Settlement.Kind.TREASURY_WITHDRAWAL)
    if withdrawals.open().exists():
        raise WithdrawalUnderWay
    return treasury
