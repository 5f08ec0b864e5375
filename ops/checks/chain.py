"""Checks 2, 7, 11 and 15: the books agree with the chain."""

from __future__ import annotations

from collections.abc import Iterator

from . import Finding, Severity, check
from .query import rows

_LANDED_WITHOUT_JOURNALS = """
SELECT wallet.address, chain.lt, expected.kind, expected.nano, journal.nano
  FROM ton_transactions chain JOIN wallets wallet ON wallet.subwallet = chain.wallet_id
  LEFT JOIN settlements settlement ON settlement.id = chain.settlement_id
  CROSS JOIN LATERAL (VALUES
      ('RECEIVED', 'in:', chain.received_nano),
      (CASE coalesce(settlement.kind, '')
            WHEN 'PAYOUT' THEN 'OWNER_WITHDRAWAL'
            WHEN 'COMMISSION_SWEEP' THEN 'COMMISSION_SWEEP'
            WHEN 'GAS_TOPUP' THEN 'GAS_TOPUP'
            WHEN 'TREASURY_WITHDRAWAL' THEN 'TREASURY_WITHDRAWAL'
            WHEN '' THEN 'LOST_DEAL'
            ELSE 'REFUND_SENT' END, 'out:', chain.sent_nano),
      ('NETWORK_FEE', 'fee:', chain.fee_nano)) AS expected (kind, prefix, nano)
  LEFT JOIN LATERAL (
      SELECT sum(posting.amount_nano) AS nano
        FROM ledger_journals head JOIN ledger_postings posting ON posting.journal_id = head.tx_ref
       WHERE head.key = expected.prefix || wallet.address || ':' || chain.lt
         AND head.kind = expected.kind AND posting.wallet_id = wallet.subwallet) AS journal ON true
 WHERE chain.lt IS NOT NULL AND expected.nano <> coalesce(journal.nano, 0)
"""

_JOURNALS_WITHOUT_CHAIN = """
SELECT DISTINCT head.key FROM ledger_journals head
  JOIN ledger_postings posting ON posting.journal_id = head.tx_ref
 WHERE posting.wallet_id IS NOT NULL
   AND NOT EXISTS (
       SELECT FROM ton_transactions chain
         JOIN wallets wallet ON wallet.subwallet = chain.wallet_id
        WHERE wallet.subwallet = posting.wallet_id
          AND head.key IN ('in:' || wallet.address || ':' || chain.lt,
                           'out:' || wallet.address || ':' || chain.lt,
                           'fee:' || wallet.address || ':' || chain.lt))
"""

_FEES = """
SELECT booked.kind, booked.nano, coalesce(expected.nano, 0) FROM (
    SELECT kind, sum(debit_nano - credit_nano) AS nano FROM ledger_entries
     WHERE account = 'NETWORK_FEES' AND kind NOT IN ('FEE_ADJUSTMENT', 'REVERSAL') GROUP BY kind
  ) AS booked FULL JOIN (
    SELECT 'NETWORK_FEE' AS kind, sum(fee_nano) AS nano FROM ton_transactions WHERE lt IS NOT NULL
    UNION ALL
    SELECT 'REFUND_SENT', -sum(withheld_nano) FROM ton_transactions WHERE sent_nano > 0
    UNION ALL
    SELECT 'BOUNCE', sum(attempt.sent_nano + attempt.withheld_nano) - (
               SELECT coalesce(sum(debit_nano), 0) FROM ledger_entries
                WHERE kind = 'BOUNCE' AND account LIKE 'BOUNCED:%')
      FROM ton_transactions attempt WHERE attempt.state = 'BOUNCED'
  ) AS expected USING (kind)
 WHERE coalesce(booked.nano, 0) <> coalesce(expected.nano, 0)
"""

_PAID_TWICE_OR_UNOWED = """
SELECT coalesce(settlement_id::text, 'wallet ' || wallet_id) AS subject, count(*)
  FROM ton_transactions JOIN wallets wallet ON wallet.subwallet = wallet_id
 WHERE direction = 'OUT' AND (state IN ('LANDED', 'CONFIRMED', 'FOREIGN')
                              OR state = 'ADOPTED' AND settlement_id IS NOT NULL
                              OR state = 'ADOPTED' AND sent_nano > 0 AND reserved_at IS NULL)
 GROUP BY subject HAVING bool_or(settlement_id IS NULL) OR count(*) > 1
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

_UNCOVERED = """
SELECT subwallet, wallet.balance_nano, owed.nano
  FROM wallets wallet JOIN (
      SELECT subwallet, sum(account.balance_nano) AS nano
        FROM account_balances account
        JOIN (SELECT subwallet, reference::text AS whose FROM wallets WHERE reference IS NOT NULL
              UNION ALL
              SELECT subwallet, subwallet::text FROM wallets WHERE subwallet > 0
             ) AS holder ON holder.whose = split_part(account.code, ':', 2)
       WHERE account.balance_nano > 0 AND account.code NOT LIKE 'COMMISSION:%'
       GROUP BY subwallet) AS owed USING (subwallet)
 WHERE owed.nano > wallet.balance_nano
   AND owed.nano > wallet.balance_nano + coalesce((
       SELECT sum(fee_nano) FROM ton_transactions WHERE wallet_id = subwallet), 0) + coalesce((
       SELECT sum(posting.amount_nano)
         FROM ledger_journals head JOIN ledger_postings posting ON posting.journal_id = head.tx_ref
        WHERE head.kind = 'BOUNCE' AND posting.debit = 'NETWORK_FEES'
          AND head.key LIKE 'bounce:' || wallet.address || ':%'), 0)
"""
"""What the network took is the treasury's to send after; nothing else may be missing."""


@check(2, Severity.CRITICAL)
def chain_transactions_have_their_journals() -> Iterator[Finding]:
    """What each chain transaction moved is booked under its key, and nothing else is."""
    for address, lt, kind, chain_nano, books_nano in rows(_LANDED_WITHOUT_JOURNALS):
        yield Finding(f"{address}:{lt}", f"{kind}: chain {chain_nano}, books {books_nano or 0}")
    for (key,) in rows(_JOURNALS_WITHOUT_CHAIN):
        yield Finding(key, "a journal of a chain transaction that is not known")
    for booked_nano, sent_nano, received_nano in rows(_IN_TRANSIT):
        if booked_nano != sent_nano - received_nano:
            yield Finding("IN_TRANSIT", f"{booked_nano}, sent {sent_nano}, came {received_nano}")


@check(7, Severity.HIGH)
def fees_are_what_the_chain_took() -> Iterator[Finding]:
    """NETWORK_FEES holds all own chain transactions' fees, less what refunds withheld."""
    for kind, books_nano, chain_nano in rows(_FEES):
        yield Finding("NETWORK_FEES", f"{kind}: chain {chain_nano}, books {books_nano}")


_IN_TRANSIT = """
SELECT (SELECT coalesce(sum(debit_nano - credit_nano), 0) FROM ledger_entries
         WHERE account = 'IN_TRANSIT'),
       (SELECT coalesce(sum(attempt.sent_nano), 0) FROM ton_transactions attempt
         LEFT JOIN settlements settlement ON settlement.id = attempt.settlement_id
        WHERE attempt.state IN ('LANDED', 'CONFIRMED', 'ADOPTED')
          AND (settlement.kind IN ('COMMISSION_SWEEP', 'GAS_TOPUP')
               OR settlement.kind IS NULL AND EXISTS (
                  SELECT FROM wallets WHERE address = attempt.destination))),
       (SELECT coalesce(sum(chain.received_nano), 0) FROM ton_transactions chain
         JOIN wallets sender ON sender.address = chain.source
         JOIN wallets wallet ON wallet.subwallet = chain.wallet_id
         JOIN ledger_journals head ON head.key = 'in:' || wallet.address || ':' || chain.lt
         JOIN ledger_postings posting ON posting.journal_id = head.tx_ref
        WHERE chain.direction = 'IN' AND posting.credit NOT LIKE 'BOUNCED:%')
"""


@check(11, Severity.CRITICAL)
def every_out_is_owed_once() -> Iterator[Finding]:
    """At most one unbounced OUT per settlement, and none without one but a lost deal's."""
    for subject, count in rows(_PAID_TWICE_OR_UNOWED):
        yield Finding(subject, f"{count} transfers landed")


@check(15, Severity.CRITICAL)
def wallets_hold_what_the_books_say() -> Iterator[Finding]:
    """Each own wallet holds what the books say, and but for fees no less than it owes."""
    for subwallet, running_nano, chain_nano, books_nano in rows(_RESERVES):
        yield Finding(
            f"wallet {subwallet}",
            f"chain {chain_nano}, books {books_nano}, running balance {running_nano}",
        )
    for subwallet, balance_nano, owed_nano in rows(_UNCOVERED):
        yield Finding(f"wallet {subwallet}", f"holds {balance_nano}, and owes {owed_nano}")
