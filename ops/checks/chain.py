"""Checks 2, 7, 11 and 15: the books agree with the chain."""

from __future__ import annotations

from collections.abc import Iterator

from payments.chain.proof import Proof, prove
from payments.ton import client
from payments.ton.api import TonUnavailable

from . import CouldNotLook, Finding, Look, Severity, check

_CHAIN_WITHOUT_JOURNALS = """
SELECT wallet.address, chain.lt, expected.kind, expected.nano
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
 WHERE chain.mc_seqno > %(after_block)s AND expected.nano <> 0
   AND NOT EXISTS (
       SELECT FROM ledger_journals head
        WHERE head.key = expected.prefix || wallet.address || ':' || chain.lt
          AND head.kind = expected.kind)
"""

_JOURNALS_UNLIKE_CHAIN = """
SELECT head.key, head.kind, posting.amount_nano, shown.nano
  FROM ledger_postings posting
  JOIN ledger_journals head ON head.tx_ref = posting.journal_id
  JOIN wallets wallet ON wallet.subwallet = posting.wallet_id
  LEFT JOIN ton_transactions chain ON chain.wallet_id = wallet.subwallet
       AND chain.lt = substring(head.key FROM ':([0-9]{1,18})$')::bigint
  CROSS JOIN LATERAL (SELECT CASE head.key
       WHEN 'in:' || wallet.address || ':' || chain.lt THEN chain.received_nano
       WHEN 'out:' || wallet.address || ':' || chain.lt THEN chain.sent_nano
       WHEN 'fee:' || wallet.address || ':' || chain.lt THEN chain.fee_nano END) AS shown (nano)
 WHERE posting.id > %(after)s AND posting.amount_nano IS DISTINCT FROM shown.nano
"""

_CHAIN_FIGURES = """
SELECT count(*) AS chain_transactions, coalesce(sum(received_nano), 0) AS received_nano,
       coalesce(sum(sent_nano), 0) AS sent_nano, coalesce(sum(fee_nano), 0) AS fee_nano
  FROM ton_transactions WHERE mc_seqno > %(after_block)s
"""

_IN_TRANSIT = """
SELECT -coalesce((SELECT nano FROM ledger_sums(%(after)s) WHERE account = 'IN_TRANSIT'), 0),
       (SELECT coalesce(sum(attempt.sent_nano), 0) FROM ton_transactions attempt
         LEFT JOIN settlements settlement ON settlement.id = attempt.settlement_id
        WHERE attempt.state IN ('LANDED', 'CONFIRMED', 'ADOPTED')
          AND (settlement.kind IN ('COMMISSION_SWEEP', 'GAS_TOPUP')
               OR settlement.kind IS NULL AND EXISTS (
                  SELECT FROM wallets WHERE address = attempt.destination))),
       (SELECT coalesce(sum(chain.received_nano), 0) FROM ton_transactions chain
         JOIN wallets sender ON sender.address = chain.source
        WHERE chain.direction = 'IN')
       - (SELECT coalesce(sum(chain.received_nano), 0) FROM ledger_postings posting
           JOIN ledger_journals head ON head.tx_ref = posting.journal_id
           JOIN ton_transactions chain ON chain.wallet_id = posting.wallet_id
                AND chain.lt = substring(head.key FROM ':([0-9]{1,18})$')::bigint
           JOIN wallets sender ON sender.address = chain.source
          WHERE starts_with(posting.credit, 'BOUNCED:') AND head.kind = 'RECEIVED')
"""

_FEES = """
SELECT kind, coalesce(booked.nano, 0), coalesce(expected.nano, 0) FROM (
    SELECT detail AS kind, -nano AS nano FROM ledger_sums(%(after)s)
     WHERE account = 'NETWORK_FEES' AND detail NOT IN ('FEE_ADJUSTMENT', 'REVERSAL')
  ) AS booked FULL JOIN (
    SELECT 'NETWORK_FEE' AS kind, sum(fee_nano) AS nano FROM ton_transactions WHERE lt IS NOT NULL
    UNION ALL
    SELECT 'REFUND_SENT', -sum(withheld_nano) FROM ton_transactions WHERE sent_nano > 0
    UNION ALL
    SELECT 'BOUNCE', sum(attempt.sent_nano + attempt.withheld_nano) - (
               SELECT coalesce(sum(amount_nano), 0) FROM ledger_postings
                WHERE starts_with(debit, 'BOUNCED:'))
      FROM ton_transactions attempt WHERE attempt.state = 'BOUNCED'
  ) AS expected USING (kind)
 WHERE coalesce(booked.nano, 0) <> coalesce(expected.nano, 0)
"""

_FEES_FIGURES = """
SELECT coalesce(sum(fee_nano), 0) AS taken_nano,
       coalesce(sum(withheld_nano) FILTER (WHERE sent_nano > 0), 0) AS withheld_nano
  FROM ton_transactions WHERE mc_seqno > %(after_block)s
"""

_PAID_TWICE_OR_UNOWED = """
SELECT settlement_id::text, count(*)
  FROM (SELECT DISTINCT settlement_id FROM ton_transactions
         WHERE direction = 'OUT' AND mc_seqno > %(after_block)s) AS landed
  JOIN ton_transactions attempt USING (settlement_id)
 WHERE attempt.state IN ('LANDED', 'CONFIRMED', 'ADOPTED')
 GROUP BY settlement_id HAVING count(*) > 1
UNION ALL
SELECT 'wallet ' || wallet_id, count(*)
  FROM ton_transactions JOIN wallets wallet ON wallet.subwallet = wallet_id
 WHERE direction = 'OUT' AND mc_seqno > %(after_block)s AND settlement_id IS NULL
   AND (state IN ('LANDED', 'CONFIRMED', 'FOREIGN')
        OR state IN ('ADOPTED', 'BOUNCED') AND sent_nano > 0 AND reserved_at IS NULL)
 GROUP BY wallet_id
"""

_PAID_FIGURES = """
SELECT count(*) AS transfers, coalesce(sum(sent_nano), 0) AS sent_nano
  FROM ton_transactions
 WHERE direction = 'OUT' AND mc_seqno > %(after_block)s
   AND state IN ('LANDED', 'CONFIRMED', 'FOREIGN', 'ADOPTED')
"""

_RESERVES = """
SELECT wallet.subwallet, wallet.balance_nano, last.chain_balance_nano, -coalesce(books.nano, 0)
  FROM wallets wallet
  LEFT JOIN (SELECT detail, nano FROM ledger_sums(%(after)s) WHERE account = 'EXTERNAL_TON')
       AS books ON books.detail = wallet.subwallet::text
  LEFT JOIN ton_transactions last ON last.wallet_id = wallet.subwallet
       AND last.lt = wallet.last_lt AND last.mc_seqno > %(after_block)s
 WHERE wallet.balance_nano <> -coalesce(books.nano, 0)
    OR coalesce(last.chain_balance_nano, 0) <> -coalesce(books.nano, 0)
       AND (last.id IS NOT NULL OR %(after_block)s = 0)
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
       WHERE account.balance_nano > 0 AND NOT starts_with(account.code, 'COMMISSION:')
       GROUP BY subwallet) AS owed USING (subwallet)
 WHERE owed.nano > wallet.balance_nano
   AND owed.nano > wallet.balance_nano + coalesce((
       SELECT sum(fee_nano) FROM ton_transactions WHERE wallet_id = subwallet), 0) + coalesce((
       SELECT sum(posting.amount_nano)
         FROM ledger_journals head JOIN ledger_postings posting ON posting.journal_id = head.tx_ref
        WHERE head.kind = 'BOUNCE' AND posting.debit = 'NETWORK_FEES'
          AND starts_with(head.key, 'bounce:' || wallet.address || ':')), 0)
"""
"""What the network took is the treasury's to send after; nothing else may be missing."""

_RESERVES_FIGURES = """
SELECT count(*) AS wallets, coalesce(sum(balance_nano), 0) AS on_chain_nano,
       -coalesce((SELECT sum(nano) FROM ledger_sums(%(after)s)
                   WHERE account = 'EXTERNAL_TON'), 0) AS in_the_books_nano
  FROM wallets
"""


@check(2, Severity.CRITICAL)
def chain_transactions_have_their_journals(look: Look) -> Iterator[Finding]:
    """What each chain transaction moved is booked under its key, and nothing else is."""
    look.figure(_CHAIN_FIGURES)
    for address, lt, kind, chain_nano in look.rows(_CHAIN_WITHOUT_JOURNALS):
        yield Finding(f"{address}:{lt}", f"{kind}: chain {chain_nano}, no such journal")
    for key, kind, books_nano, chain_nano in look.rows(_JOURNALS_UNLIKE_CHAIN):
        shown = "no such chain transaction" if chain_nano is None else f"chain {chain_nano}"
        yield Finding(key, f"{kind}: books {books_nano}, {shown}")
    for booked_nano, sent_nano, received_nano in look.rows(_IN_TRANSIT):
        if booked_nano != sent_nano - received_nano:
            yield Finding("IN_TRANSIT", f"{booked_nano}, sent {sent_nano}, came {received_nano}")


@check(7, Severity.HIGH)
def fees_are_what_the_chain_took(look: Look) -> Iterator[Finding]:
    """NETWORK_FEES holds all own chain transactions' fees, less what refunds withheld."""
    look.figure(_FEES_FIGURES)
    for kind, books_nano, chain_nano in look.rows(_FEES):
        yield Finding("NETWORK_FEES", f"{kind}: chain {chain_nano}, books {books_nano}")


@check(11, Severity.CRITICAL)
def every_out_is_owed_once(look: Look) -> Iterator[Finding]:
    """At most one unbounced OUT per settlement, and none without one but a lost deal's."""
    look.figure(_PAID_FIGURES)
    for subject, count in look.rows(_PAID_TWICE_OR_UNOWED):
        yield Finding(subject, f"{count} transfers landed")


@check(15, Severity.CRITICAL)
def wallets_hold_what_the_books_say(look: Look) -> Iterator[Finding]:
    """Each own wallet holds what the books say, and but for fees no less than it owes."""
    look.figure(_RESERVES_FIGURES)
    for subwallet, running_nano, chain_nano, books_nano in look.rows(_RESERVES):
        yield Finding(
            f"wallet {subwallet}",
            f"chain {chain_nano or 0}, books {books_nano}, running balance {running_nano}",
        )
    for subwallet, balance_nano, owed_nano in look.rows(_UNCOVERED):
        yield Finding(f"wallet {subwallet}", f"holds {balance_nano}, and owes {owed_nano}")


_BOOKS_OF = """
SELECT wallet.subwallet, wallet.address, wallet.last_lt, -coalesce(books.nano, 0) AS books_nano
  FROM wallets wallet
  LEFT JOIN (SELECT detail, nano FROM ledger_sums(0) WHERE account = 'EXTERNAL_TON')
       AS books ON books.detail = wallet.subwallet::text
 WHERE wallet.subwallet = ANY(%(subwallets)s::bigint[])
"""


def _ask_chain() -> Proof:
    try:
        return prove(client.reading())
    except TonUnavailable as away:
        raise CouldNotLook(str(away)) from away


@check(15, Severity.CRITICAL, ask=_ask_chain, full_only=True)
def wallets_hold_the_same_on_chain(look: Look) -> Iterator[Finding]:
    """Each own wallet holds on chain, asked anew, what the books say; in full runs alone.

    It is asked before the snapshot and compared with the books of that moment.
    """
    proof: Proof = look.told
    look.figures |= {
        "wallets": proof.wallets,
        "on_chain_nano": proof.chain_nano,
        "never_at_rest": len(proof.moving),
    }
    if proof.differing:
        look.rows(_BOOKS_OF, {"subwallets": [held.subwallet for held in proof.differing]})
    for held in proof.differing:
        yield Finding(
            f"wallet {held.subwallet}",
            f"chain {held.chain_nano} at lt {held.chain_lt},"
            f" books {held.books_nano} at lt {held.books_lt}",
        )
    if proof.moving:
        names = ", ".join(f"{held.subwallet}" for held in proof.moving[:10])
        raise CouldNotLook(f"{len(proof.moving)} wallets were not seen at rest, such as {names}")
