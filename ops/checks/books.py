"""Checks 1, 4 and 5: the books agree with themselves."""

from __future__ import annotations

from collections.abc import Iterator

from payments.books.ledger import Line, digest_of
from payments.models import Journal

from . import Finding, Severity, check
from .query import rows

_BALANCES = """
SELECT code, balance.balance_nano, coalesce(entries.sum_nano, 0)
  FROM (SELECT account AS code, sum(credit_nano - debit_nano) AS sum_nano FROM ledger_entries
         WHERE account NOT IN ('EXTERNAL_TON', 'NETWORK_FEES', 'IN_TRANSIT')
         GROUP BY account) AS entries
  FULL JOIN account_balances AS balance USING (code)
 WHERE balance.balance_nano IS DISTINCT FROM coalesce(entries.sum_nano, 0)
"""


@check(1, Severity.CRITICAL)
def debits_equal_credits() -> Iterator[Finding]:
    """Over all time, as the auditors' view shows it, debits equal credits."""
    for debits, credits_ in rows("SELECT sum(debit_nano), sum(credit_nano) FROM ledger_entries"):
        if debits != credits_:
            yield Finding("ledger_entries", f"debits {debits} differ from credits {credits_}")


@check(4, Severity.CRITICAL)
def balances_are_sums_of_postings() -> Iterator[Finding]:
    """Each running balance is the sum of its postings, and no account lacks its balance row."""
    for code, balance_nano, sum_nano in rows(_BALANCES):
        yield Finding(code, f"balance {balance_nano}, sum of postings {sum_nano}")


@check(5, Severity.CRITICAL)
def journals_are_whole() -> Iterator[Finding]:
    """Every journal has its postings, and they are those that its key was stored with."""
    for journal in Journal.objects.prefetch_related("postings").iterator(chunk_size=1000):
        lines = [
            Line(posting.debit, posting.credit, posting.amount_nano, posting.wallet_id)  # type: ignore[arg-type]  # codes as stored
            for posting in journal.postings.all()
        ]
        if not lines or digest_of(kind=Journal.Kind(journal.kind), lines=lines) != journal.digest:
            yield Finding(journal.key, "its postings are not those that it was written with")
