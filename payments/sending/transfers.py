"""What each kind of settlement takes from the books, where it goes, and how much of it is sent.

Nothing here uses the network; the executor asks again under the wallet's lock.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from accounts.selectors import (
    AddressCoolingDown,
    Destination,
    payout_destination,
    stored_destination,
)
from advertmarket.money import NANO_PER_TON
from payments.books.chart import DEBTS, IN_TRANSIT, PLATFORM_TREASURY, Account, PerDeal, PerWallet
from payments.books.ledger import balance
from payments.models import Escrow, Settlement, Wallet
from payments.thresholds import DUST_NANO
from payments.wallets import TREASURY

_K = Settlement.Kind

DEPOSITS_BACK = frozenset(
    {_K.PARTIAL_DEPOSIT_REFUND, _K.OVERPAYMENT_REFUND, _K.LATE_DEPOSIT_REFUND}
)
"""What nobody decided: it came, and goes back by itself."""

DECIDED = frozenset({_K.PAYOUT, _K.REFUND, _K.UNSOLICITED_REFUND, _K.TREASURY_WITHDRAWAL})

REFUNDS = DEPOSITS_BACK | {_K.REFUND, _K.UNSOLICITED_REFUND}
"""These pay their fee from what is owed; every other kind sends what is owed exactly."""

BETWEEN_OWN_WALLETS = frozenset({_K.COMMISSION_SWEEP, _K.GAS_TOPUP})

_PER_DEAL = {
    _K.PAYOUT: PerDeal.OWNER_PENDING,
    _K.REFUND: PerDeal.REFUND_PENDING,
    _K.PARTIAL_DEPOSIT_REFUND: PerDeal.PARTIAL_DEPOSIT,
    _K.OVERPAYMENT_REFUND: PerDeal.OVERPAYMENT,
    _K.LATE_DEPOSIT_REFUND: PerDeal.LATE_DEPOSIT,
}

NO_REFUND_ADDRESS = "a refund address"
"""What a refund waits for whose advertiser never said where to."""

REFUND_FIELD = "refund_address:{reference}"
"""The vault's field that holds where a deal's refunds go."""

MAX_TOP_UP_NANO = 100_000_000
"""0.1 TON: a wallet that lacks more than this for a fee lacks something else."""

MOST_QUOTED_NANO = NANO_PER_TON // 10
"""0.1 TON: ten times what a transfer takes. A quote above it is an error of whoever made it."""

MOST_WRITTEN_OFF_NANO = 2 * DUST_NANO
"""0.02 TON: more than this no quote gives to the platform by itself."""

SOON = dt.timedelta(seconds=1)
LATER = dt.timedelta(seconds=10)
MUCH_LATER = dt.timedelta(seconds=60)


class NotNow(Exception):
    """This settlement cannot go on at present; it waits, and says for what.

    `stuck` says, without figures, why it will not go on before somebody has acted. `is_ours` is
    false of what its payee has to do, or operators stopped, and of a sweep that waits behind such
    a debt: that is no delay of ours.
    """

    def __init__(
        self, waiting_for: str, retry_in: dt.timedelta, *, stuck: str = "", is_ours: bool = True
    ) -> None:
        super().__init__(waiting_for)
        self.waiting_for, self.retry_in = waiting_for, retry_in
        self.stuck, self.is_ours = stuck, is_ours


class Unclaimed(NotNow):
    """The payee of a payout never said where to."""

    def __init__(self) -> None:
        super().__init__("a payout address", MUCH_LATER, stuck="no payout address", is_ours=False)


class NeedsGas(NotNow):
    """The wallet cannot bear the fee: the treasury has to send it `shortfall_nano` first."""

    def __init__(self, shortfall_nano: int) -> None:
        super().__init__(f"a gas top-up of {shortfall_nano} nanoTON", LATER)
        self.shortfall_nano = shortfall_nano


class NotWorthTheFee(Exception):
    """What is owed is so little that giving it back would cost about as much."""


@dataclass(frozen=True)
class Plan:
    """What leaves the wallet, and what of the owed sum is kept back for the fee; in nanoTON."""

    sent_nano: int
    withheld_nano: int = 0


def source_of(settlement: Settlement) -> Account:
    """Return the account that a settlement empties when it has been sent."""
    kind = _K(settlement.kind)
    if kind in _PER_DEAL:
        return _PER_DEAL[kind].of(settlement.reference)
    if kind == _K.UNSOLICITED_REFUND:
        return PerWallet.RETURNING.of(settlement.wallet_id)
    return IN_TRANSIT if kind in BETWEEN_OWN_WALLETS else PLATFORM_TREASURY


def destination_of(settlement: Settlement, *, at: dt.datetime) -> Destination:
    """Return where a settlement goes.

    Raises:
        NotNow: nobody said where, or not for long enough; or it is an own wallet.
    """
    if settlement.destination:
        return Destination(settlement.destination, settlement.comment)
    try:
        given = (
            payout_destination(user_id=_payee(settlement), at=at)
            if settlement.kind == _K.PAYOUT
            else _refund_destination(settlement, at)
        )
    except AddressCoolingDown as cooling:
        wanted = f"the address, which counts from {cooling.until:%Y-%m-%d %H:%M} UTC"
        raise NotNow(wanted, MUCH_LATER, is_ours=False) from cooling
    if given is None:
        if settlement.kind == _K.PAYOUT:
            raise Unclaimed
        raise NotNow(NO_REFUND_ADDRESS, MUCH_LATER, stuck="no refund address", is_ours=False)
    if Wallet.objects.filter(address=given.address).exists():
        wanted = "an address that is not a deal's own"
        raise NotNow(wanted, MUCH_LATER, stuck="the address is a deal's own", is_ours=False)
    return given


def payee_of(settlement: Settlement) -> int | None:
    """Return whose a settlement is, if anybody's: a refund's may have said where to since then."""
    if settlement.payee_id is None and settlement.kind in _PER_DEAL:
        return Escrow.objects.get(reference=settlement.reference).refund_user_id
    return settlement.payee_id


def debts_of(wallet: Wallet) -> int:
    """Return what a wallet holds for others (nanoTON); the treasury holds for nobody."""
    if wallet.subwallet == TREASURY:
        return 0
    codes = [kind.of(wallet.subwallet) for kind in PerWallet]
    if wallet.reference is not None:
        codes += [kind.of(wallet.reference) for kind in DEBTS]
    return sum(balance(code) for code in codes)


def plan(*, settlement: Settlement, wallet: Wallet, available_nano: int, quote_nano: int) -> Plan:
    """Return what to send, for a fee quoted at `quote_nano`, of a wallet that has `available_nano`.

    An overspend would answer "ok", burn the seqno and send nothing: so the wallet's other debts
    and the fee stay covered.

    Raises:
        NotWorthTheFee: the refund, or the sweep, would be eaten by its fee.
        NeedsGas: the wallet lacks the fee.
        NotNow: the treasury cannot pay, the wallet is not to be swept yet, or the quote is absurd.
    """
    if quote_nano > MOST_QUOTED_NANO:  # refunds would bear it, or be written off as not worth it
        wanted = f"a fee that can be true, not {quote_nano} nanoTON"
        raise NotNow(wanted, LATER, stuck="the quoted fee cannot be true")
    kind, owed = _K(settlement.kind), settlement.amount_nano
    debts = debts_of(wallet)
    if kind in REFUNDS:
        if owed < quote_nano + DUST_NANO:
            if owed > MOST_WRITTEN_OFF_NANO:
                wanted = f"a fee below what is owed, not {quote_nano} nanoTON"
                raise NotNow(wanted, LATER, stuck="the fee is as much as what is owed")
            raise NotWorthTheFee
        free_nano = available_nano - (debts - owed)
        sent = min(owed, free_nano) - quote_nano
        if owed - free_nano > MAX_TOP_UP_NANO:  # fees do not add up to this
            raise NeedsGas(owed - free_nano)
        if sent < DUST_NANO:
            raise NeedsGas(quote_nano + DUST_NANO - free_nano)
        return Plan(sent, owed - sent)
    if kind == _K.PAYOUT:
        if shortfall := max(0, debts + quote_nano - available_nano):
            raise NeedsGas(shortfall)
        return Plan(owed)
    if kind == _K.COMMISSION_SWEEP:
        return _plan_sweep(settlement, available_nano - debts - quote_nano)
    if (missing := owed + quote_nano - available_nano) > 0:
        raise _treasury_lacks(missing, wallet)
    return Plan(owed)


def refuse_if_empty(*, settlement: Settlement, balance_nano: int) -> None:
    """Return if a fee can be asked for: of a treasury without money no transfer is emulated.

    Raises:
        NotNow: the treasury does not even have what it is to send.
    """
    missing = settlement.amount_nano - balance_nano
    if settlement.wallet_id == TREASURY and missing > 0:
        raise _treasury_lacks(missing, settlement.wallet)


def _treasury_lacks(missing_nano: int, treasury: Wallet) -> NotNow:
    wanted = f"{missing_nano} nanoTON more in the treasury, {treasury.address}"
    return NotNow(wanted, MUCH_LATER, stuck="the treasury cannot pay")


def _plan_sweep(settlement: Settlement, free_nano: int) -> Plan:
    """A wallet is swept only when nothing else is owed from it."""
    reference = settlement.reference
    others = Settlement.objects.filter(reference=reference).open()
    owes = any(balance(kind.of(reference)) for kind in DEBTS)
    if owes or others.exclude(pk=settlement.pk).exists():
        raise NotNow("the wallet to owe nothing else", MUCH_LATER, is_ours=False)
    if free_nano < DUST_NANO:
        raise NotWorthTheFee
    return Plan(free_nano)


def _payee(settlement: Settlement) -> int:
    assert settlement.payee_id is not None  # a payout names its owner
    return settlement.payee_id


def _refund_destination(settlement: Settlement, at: dt.datetime) -> Destination | None:
    escrow = Escrow.objects.get(reference=settlement.reference)
    if escrow.refund_user_id is None or escrow.refund_effective_at is None:
        return None
    if at < escrow.refund_effective_at:
        raise AddressCoolingDown(escrow.refund_effective_at)
    field = REFUND_FIELD.format(reference=settlement.reference)
    return stored_destination(user_id=escrow.refund_user_id, field=field)
