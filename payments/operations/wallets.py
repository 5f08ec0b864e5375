"""Wallets that an operator stops, or lets sign again; what came unasked, or for a lost deal."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.db.models import Sum
from django.utils.translation import gettext_lazy as _
from pydantic import Field

from advertmarket.actors import Actor
from advertmarket.db import constraints, release_connection
from advertmarket.errors import Code, DomainError
from payments import wallets
from payments.books import ledger
from payments.books.chart import PerWallet
from payments.books.ledger import Line
from payments.chain import adoption
from payments.models import Journal, Posting, Settlement, TonTransaction, Wallet
from payments.sending import settlements
from payments.sending.receipts import receipt_of
from payments.thresholds import DUST_NANO
from payments.ton import client
from payments.ton.schema import ChainTransaction, WalletState
from payments.wallets import TREASURY, reference_of, refuse_own

from .registry import (
    FourEyes,
    Nano,
    NanoOrNothing,
    Number,
    Payload,
    ToAddress,
    ToSomebody,
    operation,
)


class NotAsTheChainHasIt(DomainError):
    """What froze the wallet still holds."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("The wallet stays frozen: {problem}.")


class NoSuchMessage(DomainError):
    """Of what the wallet sent unknown to us, nothing is this."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("Wallet {subwallet} sent no such message that waits to be adopted.")


class TreasuryIsClaimed(DomainError):
    """What came to the treasury unasked is not told apart from its gas."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("What came to the treasury unasked can only be claimed (treasury.claim).")


class TooLittleToSendBack(DomainError):
    """A wallet with next to nothing cannot even be asked what its transfer would cost."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("Less than {least} nanoTON is not worth the fee of sending it back.")


class TakenSince(DomainError):
    """The request may be about money that another one has moved."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _(
        "Of what came to wallet {subwallet} unasked, something was taken since this was asked for."
    )


class ReturnUnderWay(DomainError):
    """A wallet sends one sum back at a time."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("Wallet {subwallet} is sending something back: wait until that is over.")


class AWallet(Payload):
    """A wallet, by its subwallet number."""

    subwallet: Number


class ALostMessage(ToAddress, AWallet):
    """What a wallet sent, by its chain transaction's hash (hex), as operators saw it on chain."""

    tx_hash: str = Field(max_length=64)
    nano: Nano

    def amount_nano(self) -> int:
        """Return what was sent."""
        return self.nano


def _taken_so_far(seen: dict[str, Any]) -> int:
    """Return what was ever taken from what came to a wallet unasked (nanoTON): it only grows."""
    taken = Posting.objects.filter(debit=PerWallet.UNSOLICITED.of(seen["subwallet"]))
    return taken.aggregate(sum=Sum("amount_nano"))["sum"] or 0


class AReturn(ToSomebody, AWallet):
    """Of what came to a wallet unasked, how much goes back, its fee included, and where to.

    `taken_nano` is all that had been taken from there when it was asked for: of two requests about
    the same money one is carried out.
    """

    nano: Nano
    taken_nano: NanoOrNothing = Field(default_factory=_taken_so_far)

    def amount_nano(self) -> int:
        """Return what goes back."""
        return self.nano

    def check(self) -> None:
        """Return if something can go back from there, and to that address.

        Raises:
            TreasuryIsClaimed: it is the treasury.
            TooLittleToSendBack: its fee would be as much.
            OwnAddress: it is one of our wallets.
        """
        if self.subwallet == TREASURY:
            raise TreasuryIsClaimed
        if self.nano < DUST_NANO:
            raise TooLittleToSendBack(least=DUST_NANO)
        refuse_own(self.address)


@operation("wallet.freeze", AWallet)
def freeze(payload: AWallet, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime) -> None:
    """Stop every signature from the wallet.

    Raises:
        NoSuchWallet: there is none.
    """
    wallet = wallets.lock_wallet(payload.subwallet)
    wallets.freeze(wallet=wallet, reason=f"an operator: {reason}"[:300], at=at)


def _ask_chain(payload: AWallet) -> WalletState:
    wallet = Wallet.objects.filter(subwallet=payload.subwallet).first()
    if wallet is None:
        raise wallets.NoSuchWallet(subwallet=payload.subwallet)
    release_connection()
    return client.reading().wallet_state(wallet.address)


@operation("wallet.unfreeze", AWallet, four_eyes=FourEyes.ALWAYS, look=_ask_chain)
def unfreeze(
    payload: AWallet,
    *,
    evidence: WalletState | None,
    reason: str,
    actor: Actor,
    at: dt.datetime,
) -> None:
    """Let the wallet sign again, once chain and books agree about it.

    Raises:
        NoSuchWallet: there is none.
        NotAsTheChainHasIt: seqno or balance differ, or something foreign is not adopted.
    """
    wallet = wallets.lock_wallet(payload.subwallet)
    foreign = wallet.chain_transactions.filter(state=TonTransaction.State.FOREIGN)
    if foreign.exists():
        raise NotAsTheChainHasIt(problem=_("what it sent is not adopted yet"))
    if evidence is None or evidence.seqno != wallet.expected_seqno:
        raise NotAsTheChainHasIt(problem=_("its seqno on chain is not the expected one"))
    if evidence.balance != wallet.balance_nano:
        raise NotAsTheChainHasIt(problem=_("its balance on chain is not that of the books"))
    wallet.frozen_at, wallet.frozen_reason = None, ""
    wallet.save(update_fields=["frozen_at", "frozen_reason"])


def _find_arrival(payload: ALostMessage) -> ChainTransaction | None:
    row = _lost(payload)
    release_connection()
    return receipt_of(row, client.reading())


@operation("wallet.adopt_lost", ALostMessage, four_eyes=FourEyes.ALWAYS, look=_find_arrival)
def adopt_lost(
    payload: ALostMessage,
    *,
    evidence: ChainTransaction | None,
    reason: str,
    actor: Actor,
    at: dt.datetime,
) -> None:
    """Book what a wallet sent for a deal that a restore lost, as operators know from elsewhere.

    What came back is nobody's again.

    Raises:
        NoSuchMessage: the wallet sent no such message, or it is booked.
        NotAdoptable: as `chain.adoption.adopt_lost`.
        InsufficientFunds: less had come there than was sent.
    """
    adoption.adopt_lost(
        chain_transaction_id=_lost(payload).pk, evidence=evidence, actor=actor, at=at
    )


@operation("wallet.send_back", AReturn, four_eyes=FourEyes.ALWAYS)
def send_back(
    payload: AReturn, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
) -> None:
    """Owe what came unasked to whom it is, as operators know from elsewhere; the fee is withheld.

    Such are an advertiser's deposits for a deal that a restore lost, and coins beside a jetton.

    Raises:
        DomainError: as `AReturn.check`.
        NoSuchWallet: nothing has this number.
        TakenSince: another request may have been about the same money.
        InsufficientFunds: so much did not come.
        ReturnUnderWay: the wallet is sending something back.
    """
    payload.check()
    wallet = wallets.lock_wallet(payload.subwallet)
    if _taken_so_far({"subwallet": wallet.subwallet}) != payload.taken_nano:
        raise TakenSince(subwallet=wallet.subwallet)
    under_way = ReturnUnderWay(subwallet=wallet.subwallet)
    with constraints({"settlement_one_open_per_kind": under_way}):
        settlement = settlements.owe(
            kind=Settlement.Kind.UNSOLICITED_REFUND,
            reference=reference_of(wallet),
            wallet=wallet,
            destination=payload.address,
            comment=payload.comment,
            amount_nano=payload.nano,
            at=at,
        )
    nobodys = PerWallet.UNSOLICITED.of(wallet.subwallet)
    ledger.post(
        kind=Journal.Kind.UNSOLICITED_REFUND,
        key=f"return:{settlement.pk}",
        lines=[Line(nobodys, PerWallet.RETURNING.of(wallet.subwallet), payload.nano)],
        actor=actor,
        at=at,
    )


def _lost(payload: ALostMessage) -> TonTransaction:
    row = TonTransaction.objects.filter(
        wallet_id=payload.subwallet,
        tx_hash=payload.tx_hash,
        state=TonTransaction.State.FOREIGN,
        destination=payload.address,
        sent_nano=payload.nano,
    ).first()
    if row is None:
        raise NoSuchMessage(subwallet=payload.subwallet)
    return row
