"""Where the money is, what keeps it, and whose word it waits for."""

from __future__ import annotations

import datetime as dt

from django.utils.translation import gettext as _

from ops.query import rows
from ops.stuck import Waiting, stuck_transfers
from payments.books.chart import PLATFORM_TREASURY, SIDES, PerDeal, Side
from payments.selectors import pause_state
from payments.sending.unclaimed import REMINDER_DAYS

from .section import SHOWN, Section, age, listed, ton

_BALANCES = """
SELECT split_part(code, ':', 1), sum(balance_nano) FROM account_balances
 WHERE balance_nano <> 0 GROUP BY 1
"""

_CHAIN = """
SELECT coalesce((SELECT sum(balance_nano) FROM wallets), 0),
       coalesce((SELECT sum(CASE WHEN debit = 'EXTERNAL_TON' THEN amount_nano ELSE -amount_nano END)
                   FROM ledger_postings WHERE wallet_id IS NOT NULL), 0),
       (SELECT seqno FROM chain_cursor), (SELECT block_at FROM chain_cursor)
"""

_STOPPED = """
SELECT count(*) OVER (), id, kind, state, reference, amount_nano, waiting_for, state_since_at
  FROM settlements WHERE state IN ('HELD', 'NEEDS_OPERATOR')
 ORDER BY state_since_at LIMIT %(most)s
"""

_FROZEN = """
SELECT count(*) OVER (), subwallet, frozen_reason, frozen_at FROM wallets
 WHERE frozen_at IS NOT NULL ORDER BY frozen_at LIMIT %(most)s
"""

_REVIEWS = """
SELECT count(*) OVER (), amount_nano, escrow_id, decided_at FROM deposits
 WHERE state = 'REVIEW' ORDER BY decided_at LIMIT %(most)s
"""

_UNCLAIMED = """
SELECT count(*), coalesce(sum(amount_nano), 0), min(unclaimed_since_at),
       count(*) FILTER (WHERE reminded_day >= %(last)s)
  FROM settlements WHERE unclaimed_since_at IS NOT NULL AND state = 'QUEUED'
"""

_REQUESTS = """
SELECT count(*) OVER (), id, action, reason, expires_at FROM operator_requests
 WHERE state = 'PENDING' AND expires_at > %(at)s ORDER BY requested_at LIMIT %(most)s
"""


def tell_pause(at: dt.datetime) -> Section:
    """Whether payouts run, and who said so."""
    state = pause_state()
    lines = list(state.reasons[1:])
    if state.at is not None:
        lines.append(f"by {state.by}, {state.at:%Y-%m-%d %H:%M} UTC: {state.why}")
    if state.takes_two:
        lines.append("the platform paused by itself: two operators resume")
    says = _("may run")
    if state.paused:
        says = _("PAUSED: {reason}").format(reason=state.reasons[0])
    return Section(_("payouts"), says, state.paused, tuple(lines), headline=True)


def tell_money(at: dt.datetime) -> Section:
    """What is held, owed and ours, and whether the chain has as much."""
    nano = {name: int(held) for name, held in rows(_BALANCES)}
    [(chain_nano, books_nano, seqno, block_at)] = rows(_CHAIN)
    by_side = {
        side: sum(held for name, held in nano.items() if SIDES.get(name) == side) for side in Side
    }
    says = _("escrow {escrow}, owed {owed}, treasury {treasury}").format(
        escrow=ton(by_side[Side.ESCROW]),
        owed=ton(by_side[Side.OWED]),
        treasury=ton(nano.get(PLATFORM_TREASURY)),
    )
    differ = chain_nano != books_nano
    as_of = f"block {seqno}, {age(block_at, at)} ago" if block_at else "no block yet"
    compared = f"the books say {ton(books_nano)}" if differ else "as the books say"
    return Section(
        _("money"),
        _("CHAIN AND BOOKS DIFFER: {says}").format(says=says) if differ else says,
        needs_person=differ,
        lines=(
            f"commission to sweep {ton(nano.get(PerDeal.COMMISSION))},"
            f" nobody's {ton(by_side[Side.NOBODYS])}",
            f"on chain {ton(chain_nano)}, {compared} ({as_of})",
        ),
        headline=True,
    )


def tell_stuck(at: dt.datetime) -> Section:
    """Transfers that do not go out, and why."""
    stuck = stuck_transfers(at)
    return _transfers(_("stuck transfers"), stuck[:SHOWN], len(stuck), at)


def tell_stopped(at: dt.datetime) -> Section:
    """Transfers that were held or given up: they wait for an operator's word from then on."""
    found = rows(_STOPPED, {"most": SHOWN})
    stopped = [Waiting(*row[1:]) for row in found]
    return _transfers(_("stopped transfers"), stopped, found[0][0] if found else 0, at)


def tell_frozen(at: dt.datetime) -> Section:
    """Wallets that sign nothing."""
    found = rows(_FROZEN, {"most": SHOWN})
    count = found[0][0] if found else 0
    lines = [f"wallet {row[1]}, {age(row[3], at)}: {row[2]}" for row in found]
    return Section(_("frozen wallets"), str(count), bool(count), listed(lines, count))


def tell_reviews(at: dt.datetime) -> Section:
    """Large deposits that wait for a yes or no."""
    found = rows(_REVIEWS, {"most": SHOWN})
    count = found[0][0] if found else 0
    lines = [f"{ton(row[1])} for {age(row[3], at)}, deal {row[2]}" for row in found]
    return Section(_("deposits to review"), str(count), bool(count), listed(lines, count))


def tell_unclaimed(at: dt.datetime) -> Section:
    """Payouts whose owners never said where to; after the last reminder operators decide."""
    [(count, nano, since, to_decide)] = rows(_UNCLAIMED, {"last": REMINDER_DAYS[-1]})
    lines = (f"{ton(nano)}, the oldest for {age(since, at)}",) if count else ()
    says = _("{count}, to decide: {to_decide}").format(count=count, to_decide=to_decide)
    return Section(_("unclaimed payouts"), says, bool(to_decide), lines)


def tell_requests(at: dt.datetime) -> Section:
    """What waits for a second person."""
    found = rows(_REQUESTS, {"at": at, "most": SHOWN})
    count = found[0][0] if found else 0
    lines = [f"{row[2]} until {row[4]:%H:%M} UTC: {row[3]}\n  {row[1]}" for row in found]
    return Section(_("for a second person"), str(count), bool(count), listed(lines, count))


def _transfers(name: str, shown: list[Waiting], count: int, at: dt.datetime) -> Section:
    lines = [
        f"{one.kind} {ton(one.amount_nano)}, {one.state} for {age(one.since, at)}:"
        f" {one.waiting_for or '—'}\n  deal {one.deal}"
        for one in shown
    ]
    return Section(name, str(count), bool(count), listed(lines, count))
