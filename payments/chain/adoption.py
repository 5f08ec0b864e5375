"""After a restore: messages that we signed and forgot are found on chain, and booked as ours.

Each is matched with what its wallet owes in this database, in the order in which they landed. What
the database lost has to be decided again first; nothing is guessed. Nothing here uses the network.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from payments.books import ledger
from payments.books.chart import EXTERNAL_TON, IN_TRANSIT, PLATFORM_TREASURY, PerDeal, PerWallet
from payments.books.ledger import Line, balance
from payments.models import Deposit, Escrow, Journal, Posting, Settlement, TonTransaction, Wallet
from payments.sending import settlements
from payments.sending.receipts import shows_arrival
from payments.sending.settlements import TREASURY_REFERENCE
from payments.sending.transfers import MOST_QUOTED_NANO, REFUNDS, NotNow, destination_of
from payments.ton.schema import ChainTransaction
from payments.wallets import TREASURY, cold_address

from .booking import owe_again, post_sent

_K = Settlement.Kind
_S = TonTransaction.State
_HAS_PAYEE = REFUNDS | {_K.PAYOUT}
_OWED_AGAIN_BY_REVERSAL = _HAS_PAYEE - {_K.UNSOLICITED_REFUND}
"""Of what operators gave up; all else is owed anew, or asked for anew."""


class NotAdoptable(DomainError):
    """Something else must happen first, or must be looked into by people; the message says what."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION


class NotForeign(NotAdoptable):
    """It is known what this chain transaction was."""

    message = _("This is {state}: there is nothing to adopt.")


class WalletNotFrozen(NotAdoptable):
    """Something could be signed meanwhile."""

    message = _("Wallet {subwallet} is not frozen: freeze it first.")


class EarlierFirst(NotAdoptable):
    """What a wallet sent is adopted in the order in which it landed."""

    message = _("Wallet {subwallet} sent something else before: that must be adopted first.")


class NotOurs(NotAdoptable):
    """We never sign such a message."""

    message = _("We sign no such message: somebody else has the key. Keep payouts paused.")


class ArrivalNotSeen(NotAdoptable):
    """The recipient's side is missing on chain, or what came back from there has not arrived."""

    message = _("The chain does not show where it arrived: wait until it does.")


class MayStillLand(NotAdoptable):
    """The transfer has an attempt that this database knows, and that is not over."""

    message = _("An attempt at transfer {settlement_id} may still land: wait until it is over.")


class DepositUndecided(NotAdoptable):
    """What a deposit leads to is owed only once it is decided."""

    message = _("A deposit of deal {reference} is not decided: decide it, then adopt.")


class DecisionMissing(NotAdoptable):
    """The deal's decision was lost, and nothing is owed yet."""

    message = _("Deal {reference} is {state} here: decide it as it was decided, then adopt.")


class DealLost(NotAdoptable):
    """The deal was opened after the backup."""

    message = _(
        "The deal of wallet {subwallet} is not in this database:"
        " find out what this was, then ask for wallet.adopt_lost."
    )


class NotLost(NotAdoptable):
    """No deal that was lost can have had the wallet."""

    message = _("Wallet {subwallet} is not reserved for a deal that was lost.")


class GivenUp(NotAdoptable):
    """Operators gave the transfer up before it was seen that it had left."""

    message = _(
        "Transfer {settlement_id} was given up, and may be this:"
        " reverse the journal of that (journal.reverse), then adopt."
    )


class OwedHere(NotAdoptable):
    """The wallet would pay it once more."""

    message = _("Transfer {settlement_id} may be this: adopt it as that (manage.py adopt_chain).")


class DestinationLost(NotAdoptable):
    """The recipient's address was given, or changed, after the backup."""

    message = _(
        "Transfer {settlement_id} goes elsewhere here:"
        " change its destination to {destination}, then adopt."
    )


class OwesOtherwise(NotAdoptable):
    """The wallet owes nothing that fits."""

    message = _(
        "Wallet {subwallet} owes no {nano} nanoTON to {destination} here:"
        " correct what it owes, then adopt."
    )


class TreasuryHasLess(NotAdoptable):
    """What had been swept is not in these books yet."""

    message = _("The treasury holds less than that here: adopt what was swept into it first.")


def to_adopt() -> QuerySet[TonTransaction]:
    """Return what landed and is not known, in the order in which it may be adopted."""
    return TonTransaction.objects.filter(state=_S.FOREIGN).select_related("wallet").order_by("lt")


@requires_transaction
def adopt(
    *,
    chain_transaction_id: int,
    evidence: ChainTransaction | None,
    actor: Actor,
    at: dt.datetime,
    second: Actor | None = None,
) -> Settlement | None:
    """Book what a FOREIGN message of a frozen wallet sent as the transfer that it was; return that.

    `evidence` is the recipient's chain transaction of its out message, as the chain shows it. What
    the wallet owes and what fits is then CONFIRMED, or held if it came back; a transfer between
    own wallets, or to the cold address, that nothing here tells of is owed anew. A message that
    sent nothing is no transfer. The wallet stays frozen.

    Raises:
        NotAdoptable: something else must happen first.
        InsufficientFunds: the books do not hold what it sent.
    """
    row, wallet = _lock(chain_transaction_id)
    settlement = returned = None
    if row.amount_nano:
        if (known := _surely_given_up(row, wallet)) is not None:
            raise GivenUp(settlement_id=known.pk)
        returned = _returned(row, wallet, evidence)
        settlement = _owed(row, wallet, at) or _owed_anew(row, wallet, at)
        if settlement is None:
            raise _what_first(row, wallet, at)
        row.withheld_nano = withheld(settlement, row.sent_nano) or 0
    row.settlement = settlement
    _count(row, wallet)
    if settlement is not None:
        settlement.lease_owner = settlement.leased_until = None  # whoever works on it lets go
        settlement.save(update_fields=["lease_owner", "leased_until"])
        post_sent(wallet=wallet, settlement=settlement, attempt=row, at=at)
        if returned is None:
            settlements.end(settlement=settlement, attempt=row, at=at)
        else:
            owe_again(wallet=wallet, settlement=settlement, attempt=row, returned=returned, at=at)
    audit.record(
        actor=actor,
        action="wallet.adopted",
        object_type="ton_transaction",
        object_id=str(row.pk),
        before={"state": _S.FOREIGN},
        after={
            "state": row.state,
            "settlement": str(settlement.pk) if settlement else None,
            "sent_nano": row.sent_nano,
            "second": str(second) if second else None,
        },
        reason=f"found on chain: {row.tx_hash}",
        at=at,
    )
    return settlement


@requires_transaction
def adopt_lost(
    *, chain_transaction_id: int, evidence: ChainTransaction | None, actor: Actor, at: dt.datetime
) -> None:
    """Book what a FOREIGN message sent for a deal that was lost: out of what had come unasked.

    Nothing here tells of that deal; who calls this knows it. `evidence` is as for `adopt`. What
    went to the treasury is the platform's; what came back is there again. The wallet stays frozen.

    Raises:
        NotAdoptable: something else must happen first, or the wallet was never a lost deal's, or
            owes just this by now.
        InsufficientFunds: less had come there than was sent.
    """
    row, wallet = _lock(chain_transaction_id)
    if wallet.reserved_at is None or not row.sent_nano:
        raise NotLost(subwallet=wallet.subwallet)
    returned = _returned(row, wallet, evidence)
    if (owed := _owed(row, wallet, at)) is not None:
        raise OwedHere(settlement_id=owed.pk)
    ledger.post(
        kind=Journal.Kind.LOST_DEAL,
        key=f"out:{wallet.address}:{row.lt}",
        lines=_out_of_unsolicited(row, wallet, has_arrived=returned is None),
        actor=actor,
        at=at,
    )
    _count(row, wallet)
    if returned is not None:
        owe_again(wallet=wallet, settlement=None, attempt=row, returned=returned, at=at)


def _out_of_unsolicited(row: TonTransaction, wallet: Wallet, *, has_arrived: bool) -> list[Line]:
    source, sent_nano = PerWallet.UNSOLICITED.of(wallet.subwallet), row.sent_nano
    to = Wallet.objects.filter(address=row.destination).first()
    if to is not None and to.subwallet != TREASURY:
        raise NotOurs
    if to is None or not has_arrived:
        return [Line(source, EXTERNAL_TON, sent_nano, wallet.subwallet)]
    return [
        Line(source, PLATFORM_TREASURY, sent_nano),
        Line(IN_TRANSIT, EXTERNAL_TON, sent_nano, wallet.subwallet),
    ]


def _count(row: TonTransaction, wallet: Wallet) -> None:
    """Count a locked wallet's message as ours."""
    row.state = _S.ADOPTED
    row.save(update_fields=["settlement", "state", "withheld_nano"])
    wallet.expected_seqno += 1
    wallet.save(update_fields=["expected_seqno"])


def _lock(pk: int) -> tuple[TonTransaction, Wallet]:
    wallet_id = TonTransaction.objects.values_list("wallet_id", flat=True).get(pk=pk)
    Escrow.objects.select_for_update(no_key=True).filter(wallet=wallet_id).first()
    wallet = Wallet.objects.select_for_update(no_key=True).get(pk=wallet_id)
    row = TonTransaction.objects.get(pk=pk)
    if row.state != _S.FOREIGN:
        raise NotForeign(state=row.state)
    if wallet.frozen_at is None:
        raise WalletNotFrozen(subwallet=wallet.subwallet)
    if wallet.chain_transactions.filter(state=_S.FOREIGN, lt__lt=row.lt).exists():
        raise EarlierFirst(subwallet=wallet.subwallet)
    if row.amount_nano != row.sent_nano:
        raise NotOurs
    return row, wallet


def _returned(
    row: TonTransaction, wallet: Wallet, evidence: ChainTransaction | None
) -> TonTransaction | None:
    """Return what brought back what `row` sent; None if the recipient has it."""
    if evidence is None or not shows_arrival(evidence, row):
        raise ArrivalNotSeen
    if not evidence.bounced_back:
        return None
    later = wallet.chain_transactions.filter(source=row.destination, lt__gt=row.lt)
    for one in later.order_by("lt"):
        booked, corrected = (f"{kind}:{wallet.address}:{one.lt}" for kind in ("in", "bounce"))
        came_back = Posting.objects.filter(
            journal__key=booked, credit=PerWallet.BOUNCED.of(wallet.subwallet)
        )
        if came_back.exists() and not Journal.objects.filter(key=corrected).exists():
            return one
    raise ArrivalNotSeen


def _owed(row: TonTransaction, wallet: Wallet, at: dt.datetime) -> Settlement | None:
    """Return the open settlement that `row` sent; of several the one that withheld least."""
    there = [one for one in _fitting(row, wallet) if _may_be(row, one, at)]
    if not there:
        return None
    settlement = min(there, key=lambda one: withheld(one, row.sent_nano) or 0)
    if settlement.chain_transactions.filter(state__in=TonTransaction.LIVE).exists():
        raise MayStillLand(settlement_id=settlement.pk)
    return settlement


def _fitting(row: TonTransaction, wallet: Wallet) -> list[Settlement]:
    """Lock and return the wallet's open settlements that may have sent such an amount."""
    owed = Settlement.objects.open().select_for_update(no_key=True).filter(wallet=wallet)
    return [one for one in owed.order_by("created_at") if withheld(one, row.sent_nano) is not None]


def withheld(settlement: Settlement, sent_nano: int) -> int | None:
    """Return what a settlement that sent so much kept for its fee; None if it cannot have."""
    if settlement.kind == _K.COMMISSION_SWEEP:  # sends what the wallet has
        return 0
    kept = settlement.amount_nano - sent_nano
    most = MOST_QUOTED_NANO if settlement.kind in REFUNDS else 0
    return kept if 0 <= kept <= most else None


def _goes_to(settlement: Settlement, at: dt.datetime) -> str:
    try:
        return destination_of(settlement, at=at).address
    except NotNow:
        return ""


def _owed_anew(row: TonTransaction, wallet: Wallet, at: dt.datetime) -> Settlement | None:
    """Owe what goes to an own wallet or the cold address: no decision on a deal is behind it."""
    to = Wallet.objects.filter(address=row.destination).first()
    is_treasury = wallet.subwallet == TREASURY
    if to is not None and to.subwallet == TREASURY and wallet.reference is not None:
        kind, reference = _K.COMMISSION_SWEEP, wallet.reference
        amount_nano = balance(PerDeal.COMMISSION.of(reference))
    elif to is not None and (to.reference or to.reserved_at) and is_treasury:
        reference = to.reference or TREASURY_REFERENCE  # a lost deal has none
        kind, amount_nano = _K.GAS_TOPUP, row.sent_nano
    elif row.destination == cold_address() and is_treasury:
        kind, reference, amount_nano = _K.TREASURY_WITHDRAWAL, TREASURY_REFERENCE, row.sent_nano
        if balance(PLATFORM_TREASURY) < amount_nano:
            raise TreasuryHasLess
    else:
        return None
    same = Settlement.objects.filter(reference=reference, kind=kind)
    if not amount_nano or same.open().exists():
        return None
    return settlements.owe(
        kind=kind,
        reference=reference,
        wallet=wallet,
        destination=row.destination,
        amount_nano=amount_nano,
        at=at,
    )


def given_up(wallet: Wallet) -> bool:
    """Return whether a wallet sent, unknown, what operators had given up by mistake."""
    sent = wallet.chain_transactions.filter(state=_S.FOREIGN)
    return any(_surely_given_up(row, wallet) is not None for row in sent)


def may_have_sent(wallet: Wallet, settlement: Settlement, *, at: dt.datetime) -> bool:
    """Return whether something that a wallet sent, unknown, may have been this transfer."""
    sent = wallet.chain_transactions.filter(state=_S.FOREIGN)
    return any(_may_be(row, settlement, at) for row in sent)


def _may_be(row: TonTransaction, settlement: Settlement, at: dt.datetime) -> bool:
    """By the body, which nobody else can sign; where a restore lost that, by amount and address."""
    if row.body_hash and settlement.chain_transactions.filter(body_hash=row.body_hash).exists():
        return True
    return withheld(settlement, row.sent_nano) is not None and (
        _goes_to(settlement, at) == row.destination
    )


def _given_up(wallet: Wallet) -> QuerySet[Settlement]:
    cancelled = Settlement.objects.filter(wallet=wallet, state=Settlement.State.CANCELLED)
    return cancelled.filter(kind__in=_OWED_AGAIN_BY_REVERSAL)


def _surely_given_up(row: TonTransaction, wallet: Wallet) -> Settlement | None:
    """Return the transfer that operators gave up, of which `row` was an attempt."""
    if not row.body_hash:
        return None
    return _given_up(wallet).filter(chain_transactions__body_hash=row.body_hash).first()


def _what_first(row: TonTransaction, wallet: Wallet, at: dt.datetime) -> NotAdoptable:
    """Return what must happen before `row` can be anything that its wallet owes."""
    for settlement in _given_up(wallet):
        if _may_be(row, settlement, at):
            return GivenUp(settlement_id=settlement.pk)
    for settlement in _fitting(row, wallet):
        if settlement.kind in _HAS_PAYEE:
            return DestinationLost(settlement_id=settlement.pk, destination=row.destination)
    escrow = Escrow.objects.filter(wallet=wallet).first()
    if escrow is None and wallet.subwallet != TREASURY:
        return DealLost(subwallet=wallet.subwallet)
    if escrow is not None:
        if escrow.deposits.exclude(state=Deposit.State.ALLOCATED).exists():
            return DepositUndecided(reference=escrow.reference)
        if escrow.state in (Escrow.State.AWAITING, Escrow.State.FUNDED):
            return DecisionMissing(reference=escrow.reference, state=escrow.state)
    return OwesOtherwise(
        subwallet=wallet.subwallet, nano=row.sent_nano, destination=row.destination
    )
