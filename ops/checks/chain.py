"""Checks 2, 7, 11 and 15: the books agree with the chain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection

from . import Finding, Severity, check

_LANDED_WITHOUT_JOURNALS = """
SELECT wallet.address, chain.lt, expected.kind, expected.nano, journal.nano
  FROM ton_transactions chain JOIN wallets wallet ON wallet.subwallet = chain.wallet_id
  CROSS JOIN LATERAL (VALUES
      ('RECEIVED', 'in:', chain.received_nano),
      ('OWNER_WITHDRAWAL', 'out:', chain.sent_nano),
      ('NETWORK_FEE', 'fee:', chain.fee_nano)) AS expected (kind, prefix, nano)
  LEFT JOIN LATERAL (
      SELECT sum(posting.amount_nano) AS nano
        FROM ledger_journals head JOIN ledger_postings posting ON posting.journal_id = head.tx_ref
       WHERE head.key = expected.prefix || wallet.address || ':' || chain.lt
         AND head.kind = expected.kind) AS journal ON true
 WHERE chain.lt IS NOT NULL AND expected.nano <> coalesce(journal.nano, 0)
"""

_JOURNALS_WITHOUT_CHAIN = """
SELECT head.key FROM ledger_journals head
 WHERE head.kind IN ('RECEIVED', 'OWNER_WITHDRAWAL', 'NETWORK_FEE')
   AND NOT EXISTS (
       SELECT FROM ton_transactions chain JOIN wallets wallet ON wallet.subwallet = chain.wallet_id
        WHERE chain.lt = split_part(head.key, ':', 4)::bigint
          AND wallet.address = split_part(head.key, ':', 2) || ':' || split_part(head.key, ':', 3))
"""

_FEES = """
SELECT (SELECT coalesce(sum(fee_nano), 0) FROM ton_transactions WHERE lt IS NOT NULL),
       (SELECT coalesce(sum(debit_nano - credit_nano), 0) FROM ledger_entries
         WHERE account = 'NETWORK_FEES' AND kind = 'NETWORK_FEE')
"""

_PAID_TWICE_OR_UNOWED = """
SELECT coalesce(settlement_id::text, 'wallet ' || wallet_id), count(*)
  FROM ton_transactions
 WHERE direction = 'OUT' AND state IN ('LANDED', 'CONFIRMED', 'FOREIGN')
 GROUP BY settlement_id, wallet_id
HAVING settlement_id IS NULL OR count(*) > 1
"""

_RESERVES = """
SELECT wallet.subwallet, wallet.balance_nano, coalesce(last.chain_balance_nano, 0),
       coalesce(books.nano, 0)
  FROM wallets wallet
  LEFT JOIN LATERAL (
      SELECT chain_balance_nano FROM ton_transactions
       WHERE wallet_id = wallet.subwallet AND lt = wallet.last_lt) AS last ON true
  LEFT JOIN LATERAL (
      SELECT sum(CASE WHEN debit = 'EXTERNAL_TON' THEN amount_nano ELSE -amount_nano END) AS nano
        FROM ledger_postings WHERE wallet_id = wallet.subwallet) AS books ON true
 WHERE coalesce(last.chain_balance_nano, 0) <> coalesce(books.nano, 0)
    OR wallet.balance_nano <> coalesce(books.nano, 0)
"""


@check(2, Severity.CRITICAL)
def chain_transactions_have_their_journals() -> Iterator[Finding]:
    """What each chain transaction moved is booked under its key, and nothing else is."""
    for address, lt, kind, chain_nano, books_nano in _rows(_LANDED_WITHOUT_JOURNALS):
        yield Finding(f"{address}:{lt}", f"{kind}: chain {chain_nano}, books {books_nano or 0}")
    for (key,) in _rows(_JOURNALS_WITHOUT_CHAIN):
        yield Finding(key, "a journal of a chain transaction that is not known")


@check(7, Severity.HIGH)
def fees_are_what_the_chain_took() -> Iterator[Finding]:
    """NETWORK_FEES holds the fees of all own chain transactions, to the nano."""
    for chain_nano, books_nano in _rows(_FEES):
        if chain_nano != books_nano:
            yield Finding("NETWORK_FEES", f"chain {chain_nano}, books {books_nano}")


@check(11, Severity.CRITICAL)
def every_out_is_owed_once() -> Iterator[Finding]:
    """At most one unbounced OUT per settlement, and no OUT without one."""
    for subject, count in _rows(_PAID_TWICE_OR_UNOWED):
        yield Finding(subject, f"{count} transfers landed")


@check(15, Severity.CRITICAL)
def wallets_hold_what_the_books_say() -> Iterator[Finding]:
    """For each own wallet, the books equal its balance after its last booked chain transaction."""
    for subwallet, running_nano, chain_nano, books_nano in _rows(_RESERVES):
        yield Finding(
            f"wallet {subwallet}",
            f"chain {chain_nano}, books {books_nano}, running balance {running_nano}",
        )


def _rows(query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[Any] = cursor.fetchall()
    return rows
