"""Our wallets: a stock of addresses that nobody has used, and the freeze that stops one."""

from __future__ import annotations

import datetime as dt
import logging
from typing import ClassVar
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Case, F, QuerySet, Sum, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.ton_address import parse_address

from .books.chart import EXTERNAL_TON
from .models import ChainCursor, Wallet
from .ton import wallet as ton
from .ton.api import TonApi

logger = logging.getLogger(__name__)

TREASURY = 0
STOCK = 20
"""How many unused addresses are kept ready, so that no deal waits for the chain."""

_MOST_ASKED = 50
"""How many addresses one refill asks the chain about: strangers may have used the next ones."""


class NoWalletReady(DomainError):
    """No checked, unused address is in stock; the stock is refilled within seconds."""

    code: ClassVar[Code] = Code.SERVICE_UNAVAILABLE
    message = _("No deposit address is ready yet. Try again in a few seconds.")
    retry_after_s = 5


class NoSuchWallet(DomainError):
    """No wallet has this number."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("There is no wallet {subwallet}.")


class OwnAddress(DomainError):
    """The address is one of the platform's own: nobody else's money goes there."""

    code: ClassVar[Code] = Code.INVALID_TON_ADDRESS
    message = _("This address is one of our own wallets.")


def refuse_own(address: str) -> None:
    """Return if a raw address is not one of our wallets.

    Raises:
        OwnAddress: it is.
    """
    if Wallet.objects.filter(address=address).exists():
        raise OwnAddress


@requires_transaction
def lock_wallet(subwallet: int) -> Wallet:
    """Return a wallet by its number, locked until the database transaction ends.

    Raises:
        NoSuchWallet: there is none.
    """
    wallet = Wallet.objects.select_for_update(no_key=True).filter(subwallet=subwallet).first()
    if wallet is None:
        raise NoSuchWallet(subwallet=subwallet)
    return wallet


def cold_address() -> str:
    """Return where the treasury may be withdrawn to, as a raw address; empty if nowhere.

    Raises:
        InvalidTonAddress: TREASURY_COLD_ADDRESS is not one of our network.
    """
    cold = settings.TREASURY_COLD_ADDRESS
    return parse_address(cold, network=settings.TON_NETWORK) if cold else ""


def reference_of(wallet: Wallet) -> UUID:
    """Return the deal that a wallet serves; of one that serves none its number stands for it."""
    return wallet.reference or UUID(int=wallet.subwallet)


@requires_transaction
def take_wallet(*, reference: UUID) -> Wallet:
    """Give an unused wallet to `reference`, which then has it for ever.

    Raises:
        NoWalletReady: the stock is empty.
    """
    wallet = _stock().select_for_update(skip_locked=True, no_key=True).order_by("subwallet").first()
    if wallet is None:
        raise NoWalletReady
    wallet.reference = reference
    wallet.save(update_fields=["reference"])
    return wallet


@requires_transaction
def freeze(*, wallet: Wallet, reason: str, at: dt.datetime) -> None:
    """Stop every signature from a locked wallet until an operator has looked."""
    if wallet.frozen_at is None:
        logger.critical("wallet %s frozen: %s", wallet.subwallet, reason)
        wallet.frozen_at, wallet.frozen_reason = at, reason
        wallet.save(update_fields=["frozen_at", "frozen_reason"])


def with_books(wallets: QuerySet[Wallet]) -> QuerySet[Wallet]:
    """Add `books_nano`, what the ledger says that each wallet holds, in nanoTON."""
    amount = F("postings__amount_nano")
    signed = Case(When(postings__debit=EXTERNAL_TON, then=amount), default=-amount)
    return wallets.annotate(books_nano=Coalesce(Sum(signed), 0))


@requires_transaction
def reserve(*, skip: int, at: dt.datetime) -> int:
    """Never give out the stock, nor the next `skip` numbers: follow them; return the last one.

    For a database restored from a backup, since which they may have been given out. The sequence
    only goes ahead. Numbers below it that have no wallet (one was drawn, and the wallet not yet
    stored) are followed as well.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(nextval('wallet_subwallet')) FROM generate_series(1, %s)", [skip]
        )
        (last,) = cursor.fetchone()
    known = set(Wallet.objects.values_list("subwallet", flat=True))
    Wallet.objects.bulk_create(
        [
            _wallet(subwallet, at, reserved_at=at)
            for subwallet in range(TREASURY + 1, last + 1)
            if subwallet not in known
        ],
        batch_size=1000,
        ignore_conflicts=True,
    )
    Wallet.objects.filter(reference=None, reserved_at=None, subwallet__gt=TREASURY).update(
        reserved_at=at
    )
    return int(last)


def refill_stock(client: TonApi, *, at: dt.datetime) -> int:
    """Add addresses until the stock is full, and the treasury if it is missing; return how many.

    None is added before the chain reader has its cursor: it would not see what they receive.
    An address that has chain transactions already is skipped: our public key is visible after the
    first deployment, so anyone can use the next addresses.
    """
    if not ChainCursor.objects.exists():
        return 0
    added = 0
    if not Wallet.objects.filter(subwallet=TREASURY).exists():
        _add(TREASURY, at)
        added += 1
    ready = _stock().count()
    for _asked in range(_MOST_ASKED):
        if ready >= STOCK:
            break
        subwallet = _next_subwallet()
        address = ton.subwallet_address(settings.TON_WALLET_PUBLIC_KEY, subwallet)
        if client.wallet_state(address).last_transaction_lt:
            logger.warning("subwallet %s is in use by a stranger: skipped", subwallet)
            continue
        _add(subwallet, at)
        ready, added = ready + 1, added + 1
    return added


def _add(subwallet: int, at: dt.datetime) -> None:
    with transaction.atomic():
        Wallet.objects.bulk_create([_wallet(subwallet, at)], ignore_conflicts=True)


def _wallet(subwallet: int, at: dt.datetime, *, reserved_at: dt.datetime | None = None) -> Wallet:
    return Wallet(
        subwallet=subwallet,
        version=ton.VERSION,
        public_key=settings.TON_WALLET_PUBLIC_KEY,
        address=ton.subwallet_address(settings.TON_WALLET_PUBLIC_KEY, subwallet),
        reserved_at=reserved_at,
        created_at=at,
    )


def _stock() -> QuerySet[Wallet]:
    return Wallet.objects.filter(
        reference=None, reserved_at=None, last_lt=0, frozen_at=None, subwallet__gt=TREASURY
    )


def _next_subwallet() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('wallet_subwallet')")
        (subwallet,) = cursor.fetchone()
    return int(subwallet)
