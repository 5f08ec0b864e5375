"""Wallets that an operator stops, or lets sign again; what one sent for a lost deal."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from pydantic import Field

from advertmarket.actors import Actor
from advertmarket.db import release_connection
from advertmarket.errors import Code, DomainError
from payments import wallets
from payments.chain import adoption
from payments.models import TonTransaction, Wallet
from payments.sending.receipts import receipt_of
from payments.ton import client
from payments.ton.schema import ChainTransaction, WalletState

from .registry import FourEyes, Nano, Number, Payload, ToAddress, operation


class NotAsTheChainHasIt(DomainError):
    """What froze the wallet still holds."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("The wallet stays frozen: {problem}.")


class NoSuchMessage(DomainError):
    """Of what the wallet sent unknown to us, nothing is this."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("Wallet {subwallet} sent no such message that waits to be adopted.")


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

    Raises:
        NoSuchMessage: the wallet sent no such message, or it is booked.
        NotAdoptable: as `chain.adoption.adopt_lost`.
        InsufficientFunds: less had come there than was sent.
    """
    adoption.adopt_lost(
        chain_transaction_id=_lost(payload).pk, evidence=evidence, actor=actor, at=at
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
