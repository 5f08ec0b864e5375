"""Checks 3, 6, 8, 9, 10, 12 and 13: whatever is owed has an owner, and a way out in time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.utils import timezone

from payments.models import Settlement
from payments.sending.unclaimed import REMINDER_DAYS
from payments.tiers import DUST_NANO

from . import Finding, Severity, check
from .query import rows

_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
_DEAL_LAG = dt.timedelta(minutes=10)

_ESCROWS = """
SELECT escrow.reference, escrow.state, escrow.funded_nano, coalesce(account.balance_nano, 0)
  FROM escrows escrow
  LEFT JOIN account_balances account ON account.code = 'ESCROW:' || escrow.reference
 WHERE coalesce(account.balance_nano, 0) <>
       CASE escrow.state WHEN 'FUNDED' THEN escrow.funded_nano ELSE 0 END
"""

_DEALS_THAT_LAG = """
SELECT deal.id, deal.status, escrow.state
  FROM deals deal JOIN escrows escrow ON escrow.reference = deal.id
 WHERE (escrow.state = 'FUNDED' AND escrow.funded_at < %(before)s
        AND deal.status IN ('AWAITING_PAYMENT', 'EXPIRED', 'CANCELLED'))
    OR (escrow.state IN ('CLOSED', 'EXPIRED') AND escrow.ended_at < %(before)s
        AND deal.status NOT IN ('CANCELLED', 'EXPIRED'))
    OR (escrow.state IN ('RELEASED', 'REFUNDED', 'SPLIT') AND escrow.ended_at < %(before)s
        AND deal.status NOT IN ('DELIVERY_VERIFIED', 'DISPUTED', 'COMPLETED_RELEASED', 'REFUNDED',
                                'PARTIALLY_REFUNDED', 'CANCELLED', 'EXPIRED'))
"""

_OWED = """
SELECT coalesce(owed.code, account.code), coalesce(account.balance_nano, 0), coalesce(owed.nano, 0)
  FROM (
    SELECT (CASE settlement.kind WHEN 'PAYOUT' THEN 'OWNER_PENDING'
                                 WHEN 'REFUND' THEN 'REFUND_PENDING'
                                 WHEN 'OVERPAYMENT_REFUND' THEN 'OVERPAYMENT'
                                 WHEN 'LATE_DEPOSIT_REFUND' THEN 'LATE_DEPOSIT' END)
           || ':' || settlement.reference AS code,
           sum(settlement.amount_nano) AS nano
      FROM settlements settlement
     WHERE settlement.kind IN ('PAYOUT', 'REFUND', 'OVERPAYMENT_REFUND', 'LATE_DEPOSIT_REFUND')
       AND settlement.state NOT IN ('CONFIRMED', 'CANCELLED')
       AND NOT EXISTS (SELECT FROM ton_transactions chain WHERE chain.settlement_id = settlement.id
                          AND chain.state IN ('LANDED', 'CONFIRMED', 'ADOPTED'))
     GROUP BY 1
    UNION ALL
    SELECT 'DEPOSIT_PENDING:' || escrow_id, sum(amount_nano) FROM deposits
     WHERE state IN ('CONFIRMING', 'REVIEW') GROUP BY 1
  ) AS owed
  FULL JOIN (
    SELECT code, balance_nano FROM account_balances
     WHERE split_part(code, ':', 1) IN ('OWNER_PENDING', 'REFUND_PENDING', 'OVERPAYMENT',
                                        'LATE_DEPOSIT', 'DEPOSIT_PENDING') AND balance_nano > 0
  ) AS account USING (code)
 WHERE coalesce(account.balance_nano, 0) <> coalesce(owed.nano, 0)
"""

_STRANDED = """
SELECT account.code, account.balance_nano FROM account_balances account
 WHERE account.code LIKE 'BOUNCED:%' AND account.balance_nano > 0
   AND NOT EXISTS (SELECT FROM settlements settlement WHERE settlement.state = 'HELD'
                      AND 'BOUNCED:' || settlement.wallet_id = account.code)
"""

_PARTIALS = """
SELECT account.code, account.balance_nano, escrow.state
  FROM account_balances account
  JOIN escrows escrow ON account.code = 'PARTIAL_DEPOSIT:' || escrow.reference
 WHERE account.balance_nano > 0 AND escrow.partial_since_at IS NULL
   AND account.balance_nano <> coalesce((
       SELECT sum(settlement.amount_nano) FROM settlements settlement
        WHERE settlement.reference = escrow.reference
          AND settlement.kind = 'PARTIAL_DEPOSIT_REFUND'
          AND settlement.state NOT IN ('CONFIRMED', 'CANCELLED')
          AND NOT EXISTS (SELECT FROM ton_transactions chain
                           WHERE chain.settlement_id = settlement.id AND chain.state = 'LANDED')
       ), 0)
"""

_UNSWEPT = """
SELECT account.code, account.balance_nano
  FROM account_balances account
  JOIN escrows escrow ON account.code = 'COMMISSION:' || escrow.reference
 WHERE account.balance_nano > %(dust)s
   AND NOT EXISTS (SELECT FROM settlements settlement
                    WHERE settlement.reference = escrow.reference
                      AND (settlement.confirmed_at IS NULL AND settlement.state <> 'CANCELLED'
                           OR settlement.state_since_at > %(before)s))
"""

_LATE = """
SELECT deposit.escrow_id, deposit.amount_nano
  FROM deposits deposit
  JOIN ledger_journals journal ON journal.key = 'allocate:' || (
       SELECT wallet.address || ':' || chain.lt FROM ton_transactions chain
         JOIN wallets wallet ON wallet.subwallet = chain.wallet_id
        WHERE chain.id = deposit.chain_transaction_id)
  JOIN ledger_postings posting ON posting.journal_id = journal.tx_ref
 WHERE posting.credit = 'LATE_DEPOSIT:' || deposit.escrow_id AND deposit.amount_nano > %(dust)s
   AND deposit.decided_at < %(before)s
   AND NOT EXISTS (SELECT FROM settlements WHERE deposit_id = deposit.chain_transaction_id)
"""


@check(3, Severity.HIGH)
def escrows_hold_what_they_say() -> Iterator[Finding]:
    """Escrow row and account agree, and the deal's state follows within 10 minutes."""
    for reference, state, funded_nano, held_nano in rows(_ESCROWS):
        yield Finding(f"{reference}", f"{state}, funded {funded_nano}, account {held_nano}")
    before = timezone.now() - _DEAL_LAG
    for deal, status, state in rows(_DEALS_THAT_LAG, {"before": before}):
        yield Finding(f"{deal}", f"the deal is {status}, its escrow {state}")


@check(6, Severity.HIGH)
def liabilities_have_a_way_out() -> Iterator[Finding]:
    """What is owed is exactly what open settlements, holds and undecided deposits stand for."""
    for code, balance_nano, owed_nano in rows(_OWED):
        yield Finding(code, f"balance {balance_nano}, on its way out {owed_nano}")
    for code, nano in rows(_STRANDED):
        yield Finding(code, f"{nano} came back, and nothing is held for it")


@check(8, Severity.HIGH)
def partial_deposits_wait_or_return() -> Iterator[Finding]:
    """PARTIAL_DEPOSIT holds only what waits for the rest of a price, or goes back."""
    for code, nano, state in rows(_PARTIALS):
        yield Finding(code, f"{nano} lie there, and the escrow is {state}")


@check(9, Severity.HIGH)
def overpayments_leave_in_a_day() -> Iterator[Finding]:
    """What came above a price is sent back, held or written off within 24 hours."""
    for settlement in _waiting_since(_DAY, [Settlement.Kind.OVERPAYMENT_REFUND]):
        yield Finding(f"{settlement.reference}", f"waiting for {settlement.waiting_for}")


@check(10, Severity.MEDIUM)
def people_are_paid_or_reminded() -> Iterator[Finding]:
    """A payout or refund that has waited an hour is held, or unclaimed and reminded in time."""
    now = timezone.now()
    for settlement in _waiting_since(_HOUR, _OWED_TO_PEOPLE):
        since = settlement.unclaimed_since_at
        if since is None:
            yield Finding(f"{settlement.reference}", f"waiting for {settlement.waiting_for}")
            continue
        due = max((day for day in REMINDER_DAYS if now - since > (day + 1) * _DAY), default=0)
        if (settlement.reminded_day or 0) < due:
            yield Finding(f"{settlement.reference}", f"not reminded on day {due}")


@check(12, Severity.MEDIUM)
def commission_is_swept_in_a_week() -> Iterator[Finding]:
    """The commission of a deal that owes nothing else reaches the treasury within 7 days."""
    before = timezone.now() - 7 * _DAY
    for code, nano in rows(_UNSWEPT, {"dust": DUST_NANO, "before": before}):
        yield Finding(code, f"{nano} not swept")


@check(13, Severity.HIGH)
def late_deposits_go_back() -> Iterator[Finding]:
    """A late deposit that can be given back has its settlement within the hour."""
    before = timezone.now() - _HOUR
    for reference, nano in rows(_LATE, {"dust": DUST_NANO, "before": before}):
        yield Finding(f"{reference}", f"{nano} came late and are not owed back")


_OWED_TO_PEOPLE = [
    Settlement.Kind.PAYOUT,
    Settlement.Kind.REFUND,
    Settlement.Kind.PARTIAL_DEPOSIT_REFUND,
    Settlement.Kind.LATE_DEPOSIT_REFUND,
]


def _waiting_since(age: dt.timedelta, kinds: list[Settlement.Kind]) -> Iterator[Settlement]:
    yield from Settlement.objects.filter(
        kind__in=kinds,
        state__in=[*Settlement.WORKING, Settlement.State.NEEDS_OPERATOR],
        state_since_at__lt=timezone.now() - age,
    )
