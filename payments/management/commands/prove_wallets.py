"""Proof of what we hold: each own wallet by the books, and on chain now."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations

from payments.models import Wallet
from payments.ton import client
from payments.ton.client import TonUnavailable
from payments.wallets import with_books


class Command(BaseCommand):
    """Prints a line per wallet that was ever used, in nanoTON; exit code 1 if any differs.

    One that has just received or sent differs until the chain reader has booked it.
    """

    help = "Ask the chain what each own wallet holds, and compare it with the books."

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Ask about each, and say what is the same."""
        wallets = list(with_books(Wallet.objects.all()).order_by("subwallet"))
        differ = 0
        for wallet in wallets:
            chain = _chain_nano(wallet)
            books = wallet.books_nano  # type: ignore[attr-defined]  # annotated
            if wallet.last_lt or books or chain:
                verdict = "same" if books == chain else "DIFFERENT"
                print(f"{verdict}  books {books}  chain {chain}  {_whose(wallet)}")
            differ += books != chain
        print(f"{len(wallets)} wallets, {differ} differ; those not shown were never used")
        if differ:
            sys.exit(1)


def _chain_nano(wallet: Wallet) -> int:
    try:
        return client.reading().wallet_state(wallet.address).balance
    except TonUnavailable as away:
        raise CommandError(str(away)) from away


def _whose(wallet: Wallet) -> str:
    of = f"deal {wallet.reference}" if wallet.reference else "no deal"
    return f"wallet {wallet.subwallet}  {wallet.address}  {of}"
