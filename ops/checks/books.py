"""Checks 1, 4 and 5: the books agree with themselves."""

from __future__ import annotations

from collections.abc import Iterator

from . import Finding, Look, Severity, check

_TOTALS = """
SELECT sum(debit_nano), sum(credit_nano) FROM ledger_entries WHERE posting_id > %(after)s
HAVING sum(debit_nano) <> sum(credit_nano)
"""

_TOTALS_FIGURES = """
SELECT count(*) / 2 AS postings, coalesce(sum(debit_nano), 0) AS debit_nano,
       coalesce(sum(credit_nano), 0) AS credit_nano
  FROM ledger_entries WHERE posting_id > %(after)s
"""

_BALANCES = """
SELECT code, coalesce(running.balance_nano, 0), coalesce(books.nano, 0)
  FROM (SELECT account AS code, nano FROM ledger_sums(%(after)s)
         WHERE account NOT IN ('EXTERNAL_TON', 'NETWORK_FEES', 'IN_TRANSIT') AND nano <> 0) AS books
  FULL JOIN (SELECT code, balance_nano FROM account_balances
              WHERE balance_nano <> 0) AS running USING (code)
 WHERE running.balance_nano IS DISTINCT FROM books.nano
"""

_BALANCES_FIGURES = """
SELECT count(*) AS accounts_that_hold, coalesce(sum(balance_nano), 0) AS held_nano
  FROM account_balances WHERE balance_nano <> 0
"""

_SEALED = """
SELECT account, detail, coalesce(sealed.nano, 0), coalesce(books.nano, 0)
  FROM reconciliation_sums AS sealed
  FULL JOIN (
      SELECT account, detail, nano
        FROM ledger_changes(0, (SELECT posting_id FROM reconciliation_checkpoint))
       WHERE nano <> 0) AS books USING (account, detail)
 WHERE %(after)s = 0 AND EXISTS (SELECT FROM reconciliation_checkpoint)
   AND sealed.nano IS DISTINCT FROM books.nano
"""

_OTHER_POSTINGS = """
WITH written AS (
    SELECT journal_id, string_agg(
               '["' || debit || '", "' || credit || '", ' || amount_nano || ', '
                    || coalesce(wallet_id::text, 'null') || ']', ', '
               ORDER BY ('Line(debit=''' || debit || ''', credit=''' || credit
                         || ''', amount_nano=' || amount_nano || ', subwallet='
                         || coalesce(wallet_id::text, 'None') || ')') COLLATE "C") AS lines
      FROM ledger_postings
     WHERE journal_id IN (SELECT journal_id FROM ledger_postings WHERE id > %(after)s)
     GROUP BY journal_id
)
SELECT head.key FROM ledger_journals head JOIN written ON written.journal_id = head.tx_ref
 WHERE head.digest <> encode(sha256(convert_to(
           '["' || head.kind || '", [' || written.lines || ']]', 'UTF8')), 'hex')
"""

_NO_POSTINGS = """
SELECT head.key FROM ledger_journals head
 WHERE head.posted_at > %(posted_after)s
   AND NOT EXISTS (SELECT FROM ledger_postings WHERE journal_id = head.tx_ref)
"""

_JOURNALS_FIGURES = """
SELECT count(*) AS journals FROM ledger_journals WHERE posted_at > %(posted_after)s
"""


@check(1, Severity.CRITICAL)
def debits_equal_credits(look: Look) -> Iterator[Finding]:
    """Over all time, as the auditors' view shows it, debits equal credits."""
    look.figure(_TOTALS_FIGURES)
    for debits, credits_ in look.rows(_TOTALS):
        yield Finding("ledger_entries", f"debits {debits} differ from credits {credits_}")


@check(4, Severity.CRITICAL)
def balances_are_sums_of_postings(look: Look) -> Iterator[Finding]:
    """Each running balance is the sum of its postings; so is what the checkpoint says.

    The sums are computed anew, and nothing is locked for it: the ledger changes a balance in the
    database transaction that posts, and one snapshot shows both as they were at one moment. A lock
    on every balance would stop the money and show no more. Only a look at everything can judge
    the checkpoint; whether its rows are those that were sealed is asked before it is used.
    """
    look.figure(_BALANCES_FIGURES)
    for code, balance_nano, sum_nano in look.rows(_BALANCES):
        yield Finding(code, f"balance {balance_nano}, sum of postings {sum_nano}")
    for account, detail, sealed_nano, sum_nano in look.rows(_SEALED):
        yield Finding(
            f"the checkpoint's {account} {detail}".rstrip(),
            f"sealed {sealed_nano}, sum of postings {sum_nano}",
        )


@check(5, Severity.CRITICAL)
def journals_are_whole(look: Look) -> Iterator[Finding]:
    """Every journal has its postings, and they are those that its key was stored with.

    The digest is that of `payments.books.ledger.digest_of`, in SQL.
    """
    look.figure(_JOURNALS_FIGURES)
    for (key,) in look.rows(_OTHER_POSTINGS):
        yield Finding(key, "its postings are not those that it was written with")
    for (key,) in look.rows(_NO_POSTINGS):
        yield Finding(key, "it has no postings")
