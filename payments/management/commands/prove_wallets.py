"""Proof of what we hold: each own wallet by the books, and on chain now."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations

from payments.chain import proof
from payments.ton import client
from payments.ton.api import TonUnavailable


class Command(BaseCommand):
    """Prints a line per wallet that was ever used, in nanoTON; exit code 1 if any differs.

    One that has just received or sent differs until the chain reader has booked it.
    """

    help = "Ask the chain what each own wallet holds, and compare it with the books."

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Ask about each, and say what is the same."""
        try:
            wallets = proof.compare(client.reading())
        except TonUnavailable as away:
            raise CommandError(str(away)) from away
        differ = 0
        for held in wallets:
            is_same = held.books_nano == held.chain_nano
            differ += not is_same
            if held.was_ever_used:
                verdict = "same" if is_same else "DIFFERENT"
                sums = f"books {held.books_nano}  chain {held.chain_nano}"
                print(f"{verdict}  {sums}  {_whose(held)}")
        print(f"{len(wallets)} wallets, {differ} differ; those not shown were never used")
        if differ:
            sys.exit(1)


def _whose(held: proof.Held) -> str:
    of = f"deal {held.reference}" if held.reference else "no deal"
    return f"wallet {held.subwallet}  {held.address}  {of}"
