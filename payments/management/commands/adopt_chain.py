"""After a restore: find what we had signed, and book it."""

from __future__ import annotations

from argparse import ArgumentParser
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand, CommandError, no_translations
from django.db import transaction
from django.utils import timezone

from accounts.management.operators import SECOND_PASSWORD_VARIABLE, prove_operator
from advertmarket.actors import Actor
from advertmarket.errors import DomainError
from payments.chain import adoption
from payments.models import TonTransaction
from payments.operations.requests import APPROVE, OPERATE
from payments.sending.pause import SecondOperatorNeeded, require_two
from payments.sending.receipts import patiently, receipt_of
from payments.ton import client
from payments.ton.api import TonUnavailable
from payments.ton.schema import ChainTransaction

_Found = list[tuple[TonTransaction, ChainTransaction | None]]


class Command(BaseCommand):
    """Says of each what it was, or what must happen first. It can be run again and again."""

    help = "Adopt the messages that landed without a trace in this database."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Two operators, unless nothing is to be changed."""
        parser.add_argument("--operator", help="username of the operator who adopts")
        parser.add_argument("--second", help="username of the operator who agrees")
        parser.add_argument("--dry-run", action="store_true", help="say only what would happen")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        """Ask the chain about each, then adopt them, and say what is left."""
        if options["dry_run"]:
            found = _find()
            with transaction.atomic():
                _adopt(found, Actor.system("dry-run"), None)
                transaction.set_rollback(True)
            return
        name, agrees = options["operator"], options["second"]
        if name is None or agrees is None:
            raise CommandError("name the --operator and the --second, or only --dry-run")
        actor = prove_operator(name, permission=OPERATE)
        second = prove_operator(agrees, permission=APPROVE, variable=SECOND_PASSWORD_VARIABLE)
        try:
            require_two(actor, second)
        except SecondOperatorNeeded as needed:
            raise CommandError(str(needed)) from needed
        _adopt(_find(), actor, second)


def _find() -> _Found:
    reading = client.reading()
    try:
        return [(row, patiently(partial(receipt_of, row, reading))) for row in adoption.to_adopt()]
    except TonUnavailable as away:
        raise CommandError(str(away)) from away


def _adopt(found: _Found, actor: Actor, second: Actor | None) -> None:
    left: set[int] = set()
    for row, evidence in found:
        try:
            with transaction.atomic():
                settlement = adoption.adopt(
                    chain_transaction_id=row.pk,
                    evidence=evidence,
                    actor=actor,
                    second=second,
                    at=timezone.now(),
                )
        except DomainError as reason:
            left.add(row.pk)
            verdict = str(reason)
        else:
            verdict = "sent nothing"
            if settlement is not None:
                verdict = f"{settlement.kind} {settlement.pk}, {settlement.state}"
        print(f"wallet {row.wallet_id}, {row.tx_hash}: {row.sent_nano} nanoTON")
        print(f"  to {row.destination or 'nobody'}: {verdict}")
    print(f"{len(found) - len(left)} adopted, {len(left)} left")
    for subwallet in sorted({row.wallet_id for row, _ in found if row.pk not in left}):
        if not TonTransaction.objects.filter(
            wallet_id=subwallet, state=TonTransaction.State.FOREIGN
        ).exists():
            print(f"wallet {subwallet} can be unfrozen")
