"""The only writer of the books."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db import connection
from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.correlation import current
from advertmarket.db import constraints, requires_transaction
from advertmarket.errors import Code, DomainError
from advertmarket.metrics import count
from payments.metrics import JOURNALS
from payments.models import AccountBalance, Journal, Posting

from .chart import EXTERNAL_TON, HUBS, Account
from .journals import allows


class InsufficientFunds(DomainError):
    """The account does not hold what was to be taken from it; nothing was posted."""

    code = Code.INSUFFICIENT_BALANCE
    message = _("An account does not hold enough for {key}.")


class KeyReused(DomainError):
    """The idempotency key belongs to a journal with other content; nothing was posted."""

    code = Code.IDEMPOTENCY_CONFLICT
    message = _("The journal {key} exists with other content.")


@dataclass(frozen=True)
class Line:
    """Take `amount_nano` (nanoTON, above 0) from `debit` and give it to `credit`.

    `subwallet` names the wallet if, and only if, one side is EXTERNAL_TON.
    """

    debit: Account
    credit: Account
    amount_nano: int
    subwallet: int | None = None

    def __post_init__(self) -> None:
        if type(self.amount_nano) is not int or self.amount_nano <= 0:
            raise ValueError(f"a posting moves a positive whole amount, not {self.amount_nano!r}")
        if (EXTERNAL_TON in (self.debit, self.credit)) != (self.subwallet is not None):
            raise ValueError("a posting names its wallet exactly if it touches EXTERNAL_TON")


@requires_transaction
def post(
    *, kind: Journal.Kind, key: str, lines: Sequence[Line], actor: Actor, at: dt.datetime
) -> UUID:
    """Post a journal once, however often it is asked for, and return its `tx_ref`.

    Running balances change in the same database transaction. Balance rows are locked in the order
    of their codes.

    Raises:
        InsufficientFunds: an account that may not go below zero would; nothing was posted.
        KeyReused: the key belongs to a journal with other content; nothing was posted.
    """
    if not lines:
        raise ValueError("a journal has at least one posting")
    if not allows(kind, key, ((line.debit, line.credit) for line in lines)):
        raise ValueError(f"{key}: a journal of kind {kind} does not move money like this")
    digest = digest_of(kind=kind, lines=lines)
    tx_ref = uuid4()
    with (
        constraints({"account_not_overdrawn": InsufficientFunds(key=key)}),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "INSERT INTO ledger_journals"
            " (tx_ref, kind, key, digest, actor, correlation_id, posted_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (key) DO NOTHING",
            [tx_ref, kind.value, key, digest, str(actor), current(), at],
        )
        if not cursor.rowcount:
            return _existing(key, digest)
        _move_balances(lines, key)
        Posting.objects.bulk_create(
            Posting(
                journal_id=tx_ref,
                debit=line.debit,
                credit=line.credit,
                amount_nano=line.amount_nano,
                wallet_id=line.subwallet,
            )
            for line in lines
        )
    count(JOURNALS, kind.value)
    return tx_ref


def digest_of(*, kind: Journal.Kind, lines: Sequence[Line]) -> str:
    """Return the digest that a journal's key is stored with: equal content, equal digest."""
    content = [
        [line.debit, line.credit, line.amount_nano, line.subwallet]
        for line in sorted(lines, key=repr)
    ]
    return hashlib.sha256(json.dumps([kind.value, content]).encode()).hexdigest()


def balance(account: Account) -> int:
    """Return the running balance (nanoTON) of an account that may not go below zero."""
    row = AccountBalance.objects.filter(code=account).values_list("balance_nano", flat=True).first()
    return row or 0


def _existing(key: str, digest: str) -> UUID:
    journal = Journal.objects.only("tx_ref", "digest").get(key=key)
    if journal.digest != digest:
        raise KeyReused(key=key)
    return journal.tx_ref


def _move_balances(lines: Sequence[Line], key: str) -> None:
    changes: defaultdict[Account, int] = defaultdict(int)
    for line in lines:
        changes[line.debit] -= line.amount_nano
        changes[line.credit] += line.amount_nano
    codes = sorted(changes.keys() - HUBS)
    if not codes:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO account_balances (code, balance_nano)"
            " SELECT code, 0 FROM unnest(%s::text[]) AS code ORDER BY code"
            " ON CONFLICT (code) DO NOTHING",
            [codes],
        )
        cursor.execute(
            "WITH locked AS (SELECT code FROM account_balances WHERE code = ANY(%s)"
            "                ORDER BY code FOR UPDATE)"
            " UPDATE account_balances AS account SET balance_nano = balance_nano + change.nano"
            " FROM unnest(%s::text[], %s::bigint[]) AS change (code, nano)"
            " JOIN locked USING (code) WHERE account.code = change.code",
            [codes, codes, [changes[code] for code in codes]],
        )
        if cursor.rowcount != len(codes):
            raise AssertionError(f"not every balance of {key} was moved")
