"""Wallets that an operator stops, or lets sign again."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.db import release_connection
from advertmarket.errors import Code, DomainError
from payments import wallets
from payments.models import TonTransaction, Wallet
from payments.ton import client
from payments.ton.schema import WalletState

from .registry import FourEyes, Number, Payload, operation


class NotAsTheChainHasIt(DomainError):
    """What froze the wallet still holds."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("The wallet stays frozen: {problem}.")


class NoSuchWallet(DomainError):
    """No wallet has this number."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("There is no wallet {subwallet}.")


class AWallet(Payload):
    """A wallet, by its subwallet number."""

    subwallet: Number


@operation("wallet.freeze", AWallet)
def freeze(payload: AWallet, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime) -> None:
    """Stop every signature from the wallet.

    Raises:
        NoSuchWallet: there is none.
    """
    wallets.freeze(wallet=_lock(payload), reason=f"an operator: {reason}"[:300], at=at)


def _ask_chain(payload: AWallet) -> WalletState:
    wallet = Wallet.objects.filter(subwallet=payload.subwallet).first()
    if wallet is None:
        raise NoSuchWallet(subwallet=payload.subwallet)
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
    wallet = _lock(payload)
    foreign = wallet.chain_transactions.filter(state=TonTransaction.State.FOREIGN)
    if foreign.exists():
        raise NotAsTheChainHasIt(problem=_("what it sent is not adopted yet"))
    if evidence is None or evidence.seqno != wallet.expected_seqno:
        raise NotAsTheChainHasIt(problem=_("its seqno on chain is not the expected one"))
    if evidence.balance != wallet.balance_nano:
        raise NotAsTheChainHasIt(problem=_("its balance on chain is not that of the books"))
    wallet.frozen_at, wallet.frozen_reason = None, ""
    wallet.save(update_fields=["frozen_at", "frozen_reason"])


def _lock(payload: AWallet) -> Wallet:
    locked = Wallet.objects.select_for_update(no_key=True)
    wallet = locked.filter(subwallet=payload.subwallet).first()
    if wallet is None:
        raise NoSuchWallet(subwallet=payload.subwallet)
    return wallet
