"""Check 14: what was signed lands or expires in minutes, and seqnos are counted right."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from . import Finding, Look, Severity, check

_LONGEST = dt.timedelta(minutes=10)

_LIVE_TOO_LONG = """
SELECT settlement_id, state, signed_at FROM ton_transactions
 WHERE direction = 'OUT' AND state IN ('SIGNED', 'SUBMITTED', 'LANDED') AND signed_at < %(before)s
"""

_LIVE_FIGURES = """
SELECT count(*) AS live_attempts, coalesce(sum(amount_nano), 0) AS live_nano,
       min(signed_at) AS oldest_signed_at
  FROM ton_transactions
 WHERE direction = 'OUT' AND state IN ('SIGNED', 'SUBMITTED', 'LANDED')
"""

_SEQNOS = """
SELECT wallet.subwallet, wallet.expected_seqno, count(chain.id)
  FROM wallets wallet
  LEFT JOIN ton_transactions chain ON chain.wallet_id = wallet.subwallet
       AND chain.direction = 'OUT'
       AND chain.state IN ('LANDED', 'CONFIRMED', 'FAILED', 'BOUNCED', 'ADOPTED')
 WHERE wallet.frozen_at IS NULL
   AND (%(after_block)s = 0 OR wallet.subwallet IN (
        SELECT wallet_id FROM ton_transactions WHERE mc_seqno > %(after_block)s))
 GROUP BY wallet.subwallet HAVING wallet.expected_seqno <> count(chain.id)
"""


@check(14, Severity.HIGH)
def attempts_end_and_are_counted(look: Look) -> Iterator[Finding]:
    """No attempt is live for 10 minutes; a wallet expects the seqno that its landings make."""
    look.figure(_LIVE_FIGURES)
    before = look.at - _LONGEST
    for settlement, state, signed_at in look.rows(_LIVE_TOO_LONG, {"before": before}):
        yield Finding(f"{settlement}", f"{state} since {signed_at:%H:%M:%S}")
    for subwallet, expected, landed in look.rows(_SEQNOS):
        yield Finding(f"wallet {subwallet}", f"expects seqno {expected}, {landed} landed")
