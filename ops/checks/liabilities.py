"""Checks 3, 6, 8, 9, 10, 12 and 13: whatever is owed has an owner, and a way out in time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

from django.db.models import TextChoices

from payments.models import Settlement
from payments.sending.unclaimed import REMINDER_DAYS
from payments.thresholds import DUST_NANO

from . import Finding, Look, Severity, check

_HOUR, _DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
_DEAL_LAG = dt.timedelta(minutes=10)

_ESCROWS = """
SELECT split_part(code, ':', 2), coalesce(funded.nano, 0), coalesce(account.balance_nano, 0)
  FROM (SELECT 'ESCROW:' || reference AS code, funded_nano AS nano FROM escrows
         WHERE state = 'FUNDED') AS funded
  FULL JOIN (SELECT code, balance_nano FROM account_balances
              WHERE balance_nano <> 0 AND starts_with(code, 'ESCROW:')) AS account USING (code)
 WHERE funded.nano IS DISTINCT FROM account.balance_nano
"""

_ESCROWS_FIGURES = """
SELECT count(*) AS funded_escrows, coalesce(sum(funded_nano), 0) AS funded_nano
  FROM escrows WHERE state = 'FUNDED'
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
    SELECT CASE settlement.kind
                WHEN 'PAYOUT' THEN 'OWNER_PENDING:' || settlement.reference
                WHEN 'REFUND' THEN 'REFUND_PENDING:' || settlement.reference
                WHEN 'OVERPAYMENT_REFUND' THEN 'OVERPAYMENT:' || settlement.reference
                WHEN 'LATE_DEPOSIT_REFUND' THEN 'LATE_DEPOSIT:' || settlement.reference
                WHEN 'UNSOLICITED_REFUND' THEN 'RETURNING:' || settlement.wallet_id END AS code,
           sum(settlement.amount_nano) AS nano
      FROM settlements settlement
     WHERE settlement.kind IN ('PAYOUT', 'REFUND', 'OVERPAYMENT_REFUND', 'LATE_DEPOSIT_REFUND',
                               'UNSOLICITED_REFUND')
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
     WHERE balance_nano > 0
       AND split_part(code, ':', 1) IN ('OWNER_PENDING', 'REFUND_PENDING', 'OVERPAYMENT',
                                        'LATE_DEPOSIT', 'RETURNING', 'DEPOSIT_PENDING')
  ) AS account USING (code)
 WHERE coalesce(account.balance_nano, 0) <> coalesce(owed.nano, 0)
"""

_STRANDED = """
SELECT account.code, account.balance_nano FROM account_balances account
 WHERE account.balance_nano > 0 AND starts_with(account.code, 'BOUNCED:')
   AND NOT EXISTS (SELECT FROM settlements settlement WHERE settlement.state = 'HELD'
                      AND 'BOUNCED:' || settlement.wallet_id = account.code)
"""

_OWED_FIGURES = """
SELECT coalesce(sum(balance_nano) FILTER (WHERE kind = 'OWNER_PENDING'), 0) AS to_owners_nano,
       coalesce(sum(balance_nano) FILTER (WHERE kind NOT IN ('OWNER_PENDING', 'RETURNING')), 0)
       AS to_advertisers_nano,
       coalesce(sum(balance_nano) FILTER (WHERE kind = 'RETURNING'), 0) AS returning_nano
  FROM (SELECT balance_nano, split_part(code, ':', 1) AS kind FROM account_balances
         WHERE balance_nano > 0) AS account
 WHERE kind IN ('OWNER_PENDING', 'REFUND_PENDING', 'OVERPAYMENT', 'LATE_DEPOSIT',
                'RETURNING', 'DEPOSIT_PENDING')
"""

_PARTIALS = """
SELECT account.code, account.balance_nano, escrow.state
  FROM account_balances account
  JOIN escrows escrow ON escrow.reference = split_part(account.code, ':', 2)::uuid
 WHERE account.balance_nano > 0 AND starts_with(account.code, 'PARTIAL_DEPOSIT:')
   AND escrow.partial_since_at IS NULL
   AND account.balance_nano <> coalesce((
       SELECT sum(settlement.amount_nano) FROM settlements settlement
        WHERE settlement.reference = escrow.reference
          AND settlement.kind = 'PARTIAL_DEPOSIT_REFUND'
          AND settlement.state NOT IN ('CONFIRMED', 'CANCELLED')
          AND NOT EXISTS (SELECT FROM ton_transactions chain
                           WHERE chain.settlement_id = settlement.id AND chain.state = 'LANDED')
       ), 0)
"""

_PARTIALS_FIGURES = """
SELECT count(*) AS accounts, coalesce(sum(balance_nano), 0) AS held_nano
  FROM account_balances WHERE balance_nano > 0 AND starts_with(code, 'PARTIAL_DEPOSIT:')
"""

_WAITING = """
SELECT reference, waiting_for FROM settlements
 WHERE kind = ANY(%(kinds)s) AND state = ANY(%(states)s) AND state_since_at < %(before)s
"""

_WAITING_FIGURES = """
SELECT count(*) AS waiting, coalesce(sum(amount_nano), 0) AS waiting_nano,
       min(state_since_at) AS oldest_since
  FROM settlements WHERE kind = ANY(%(kinds)s) AND state = ANY(%(states)s)
"""

_NOT_PAID_NOR_REMINDED = """
SELECT reference, waiting_for, unclaimed_since_at IS NOT NULL, due.day
  FROM settlements
 CROSS JOIN LATERAL (
     SELECT coalesce(max(day), 0) AS day FROM unnest(%(days)s::int[]) AS day
      WHERE unclaimed_since_at < %(now)s - make_interval(days => day + 1)) AS due
 WHERE kind = ANY(%(kinds)s) AND state = ANY(%(states)s) AND state_since_at < %(before)s
   AND (unclaimed_since_at IS NULL OR coalesce(reminded_day, 0) < due.day)
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

_UNSWEPT_FIGURES = """
SELECT count(*) AS deals, coalesce(sum(balance_nano), 0) AS not_swept_nano,
       coalesce((SELECT balance_nano FROM account_balances
                  WHERE code = 'PLATFORM_TREASURY'), 0) AS swept_nano
  FROM account_balances WHERE balance_nano > 0 AND starts_with(code, 'COMMISSION:')
"""

_LATE = """
SELECT deposit.escrow_id, deposit.amount_nano
  FROM account_balances account
  JOIN deposits deposit ON deposit.escrow_id = split_part(account.code, ':', 2)::uuid
  JOIN ton_transactions chain ON chain.id = deposit.chain_transaction_id
  JOIN wallets wallet ON wallet.subwallet = chain.wallet_id
  JOIN ledger_journals journal ON journal.key = 'allocate:' || wallet.address || ':' || chain.lt
  JOIN ledger_postings posting ON posting.journal_id = journal.tx_ref
       AND posting.credit = account.code
 WHERE account.balance_nano > 0 AND starts_with(account.code, 'LATE_DEPOSIT:')
   AND deposit.amount_nano > %(dust)s
   AND deposit.decided_at < %(before)s
   AND NOT EXISTS (SELECT FROM settlements WHERE deposit_id = deposit.chain_transaction_id)
"""

_LATE_FIGURES = """
SELECT count(*) AS accounts, coalesce(sum(balance_nano), 0) AS held_nano
  FROM account_balances WHERE balance_nano > 0 AND starts_with(code, 'LATE_DEPOSIT:')
"""

_OWED_TO_PEOPLE = [
    Settlement.Kind.PAYOUT,
    Settlement.Kind.REFUND,
    Settlement.Kind.PARTIAL_DEPOSIT_REFUND,
    Settlement.Kind.LATE_DEPOSIT_REFUND,
    Settlement.Kind.UNSOLICITED_REFUND,
]
_ON_ITS_WAY = [*Settlement.WORKING, Settlement.State.NEEDS_OPERATOR]


@check(3, Severity.HIGH)
def escrows_hold_what_they_say(look: Look) -> Iterator[Finding]:
    """Escrow row and account agree, and the deal's state follows within 10 minutes."""
    look.figure(_ESCROWS_FIGURES)
    for reference, funded_nano, held_nano in look.rows(_ESCROWS):
        yield Finding(reference, f"funded {funded_nano}, account {held_nano}")
    for deal, status, state in look.rows(_DEALS_THAT_LAG, {"before": look.at - _DEAL_LAG}):
        yield Finding(f"{deal}", f"the deal is {status}, its escrow {state}")


@check(6, Severity.HIGH)
def liabilities_have_a_way_out(look: Look) -> Iterator[Finding]:
    """What is owed is exactly what open settlements, holds and undecided deposits stand for."""
    look.figure(_OWED_FIGURES)
    for code, balance_nano, owed_nano in look.rows(_OWED):
        yield Finding(code, f"balance {balance_nano}, on its way out {owed_nano}")
    for code, nano in look.rows(_STRANDED):
        yield Finding(code, f"{nano} came back, and nothing is held for it")


@check(8, Severity.HIGH)
def partial_deposits_wait_or_return(look: Look) -> Iterator[Finding]:
    """PARTIAL_DEPOSIT holds only what waits for the rest of a price, or goes back."""
    look.figure(_PARTIALS_FIGURES)
    for code, nano, state in look.rows(_PARTIALS):
        yield Finding(code, f"{nano} lie there, and the escrow is {state}")


@check(9, Severity.HIGH)
def overpayments_leave_in_a_day(look: Look) -> Iterator[Finding]:
    """What came above a price is sent back, held or written off within 24 hours."""
    waiting = {"kinds": [Settlement.Kind.OVERPAYMENT_REFUND.value], "states": _values(_ON_ITS_WAY)}
    look.figure(_WAITING_FIGURES, waiting)
    for reference, waiting_for in look.rows(_WAITING, {**waiting, "before": look.at - _DAY}):
        yield Finding(f"{reference}", f"waiting for {waiting_for}")


@check(10, Severity.MEDIUM)
def people_are_paid_or_reminded(look: Look) -> Iterator[Finding]:
    """A payout or refund that has waited an hour is held, or unclaimed and reminded in time."""
    waiting = {"kinds": _values(_OWED_TO_PEOPLE), "states": _values(_ON_ITS_WAY)}
    look.figure(_WAITING_FIGURES, waiting)
    due = {"days": list(REMINDER_DAYS), "before": look.at - _HOUR}
    found = look.rows(_NOT_PAID_NOR_REMINDED, waiting | due)
    for reference, waiting_for, is_unclaimed, day in found:
        problem = f"not reminded on day {day}" if is_unclaimed else f"waiting for {waiting_for}"
        yield Finding(f"{reference}", problem)


@check(12, Severity.MEDIUM)
def commission_is_swept_in_a_week(look: Look) -> Iterator[Finding]:
    """The commission of a deal that owes nothing else reaches the treasury within 7 days."""
    look.figure(_UNSWEPT_FIGURES)
    for code, nano in look.rows(_UNSWEPT, {"dust": DUST_NANO, "before": look.at - 7 * _DAY}):
        yield Finding(code, f"{nano} not swept")


@check(13, Severity.HIGH)
def late_deposits_go_back(look: Look) -> Iterator[Finding]:
    """A late deposit that can be given back has its settlement within the hour."""
    look.figure(_LATE_FIGURES)
    for reference, nano in look.rows(_LATE, {"dust": DUST_NANO, "before": look.at - _HOUR}):
        yield Finding(f"{reference}", f"{nano} came late and are not owed back")


def _values(choices: Iterable[TextChoices]) -> list[str]:
    return [choice.value for choice in choices]
