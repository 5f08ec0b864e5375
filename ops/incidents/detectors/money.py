"""Transfers that do not go out, wallets that may not sign, deposits that wait or came late."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from advertmarket.money import format_ton
from ops.checks.query import rows
from ops.incidents.causes import Cause, list_of, moment, page_of
from payments.deposits import REVIEW_REMINDERS

from . import detector

STUCK_AFTER = dt.timedelta(hours=1)
BEHIND_AFTER = dt.timedelta(minutes=30)
"""Both by the runbook's table of financial incidents."""

EACH = 5
"""So many stuck transfers, the oldest, have an incident each, and the others share one: nobody
reads a hundred alarms of one cause at night. It is the same with frozen wallets."""

_STUCK = """
SELECT id, kind, state, reference, amount_nano, waiting_for, state_since_at,
       waiting_for LIKE 'the end of a pause%%'
  FROM settlements
 WHERE state IN ('QUEUED', 'SIGNED', 'SUBMITTED', 'NEEDS_OPERATOR')
   AND unclaimed_since_at IS NULL AND state_since_at < %(before)s
   AND waiting_for NOT LIKE 'the address, which counts from%%'
   AND waiting_for <> 'the wallet to owe nothing else'
 ORDER BY state_since_at, id
"""
"""Not the held and unclaimed ones, which wait for a person's word by the rules, nor those whose new
address cools down for a day, nor a sweep that waits behind any of these: it is our own money."""

_FROZEN = """
SELECT subwallet, frozen_reason, frozen_at FROM wallets
 WHERE frozen_at IS NOT NULL ORDER BY frozen_at, subwallet
"""

_IN_REVIEW = """
SELECT chain_transaction_id, escrow_id, amount_nano, decided_at FROM deposits
 WHERE state = 'REVIEW' ORDER BY decided_at
"""

_CURSOR = """
SELECT block_at, read_at FROM chain_cursor
UNION ALL
SELECT min(created_at), NULL FROM wallets WHERE NOT EXISTS (SELECT FROM chain_cursor)
"""
"""Without a cursor the chain was never read: that counts from the first address that was made."""

_LATE = """
SELECT count(*) OVER (), deposit.escrow_id, deposit.amount_nano, deposit.chain_transaction_id,
       extract(epoch FROM deposit.seen_at - chain.chain_at)::int / 60, deposit.seen_at
  FROM deposits deposit JOIN ton_transactions chain ON chain.id = deposit.chain_transaction_id
 WHERE deposit.seen_at > %(since)s AND deposit.seen_at - chain.chain_at > %(late)s
 ORDER BY deposit.seen_at DESC LIMIT 1
"""


@detector(every_s=10)
def transfers_go_out() -> Iterator[Cause]:
    """A transfer of any kind has been waiting in one state for over an hour."""
    stuck = rows(_STUCK, {"before": timezone.now() - STUCK_AFTER})
    paused = [row for row in stuck if row[-1]]
    others = [row for row in stuck if not row[-1]]
    if paused:
        yield Cause(
            "payouts_paused",
            facts={"count": len(paused), "amount": _sum(paused), "waiting_for": paused[0][5]},
            since=paused[0][6],
            page=list_of("payments_settlement"),
        )
    for pk, kind, state, deal, nano, waiting_for, since, _ in others[:EACH]:
        yield Cause(
            "payout_stuck",
            key=str(pk),
            facts={
                "transfer": kind,
                "state": state,
                "deal": str(deal),
                "amount": format_ton(nano),
                "waiting_for": waiting_for or "—",
            },
            since=since,
            page=page_of("payments_settlement", pk),
        )
    if more := others[EACH:]:
        yield Cause(
            "payouts_stuck",
            facts={"count": len(more), "amount": _sum(more)},
            since=more[0][6],
            page=list_of("payments_settlement"),
        )


@detector()
def wallets_sign() -> Iterator[Cause]:
    """A wallet is frozen: its key may be in other hands, or books and chain disagree."""
    frozen = rows(_FROZEN)
    for subwallet, reason, at in frozen[:EACH]:
        yield Cause(
            "wallet_frozen",
            key=str(subwallet),
            facts={"subwallet": subwallet, "reason": reason},
            since=at,
            page=page_of("payments_wallet", subwallet),
        )
    if more := frozen[EACH:]:
        yield Cause(
            "wallets_frozen",
            facts={"count": len(more)},
            since=more[0][2],
            page=list_of("payments_wallet"),
        )


@detector(every_s=10)
def deposits_are_decided() -> Iterator[Cause]:
    """A large deposit has waited too long for an operator, who was told of it when it came."""
    now = timezone.now()
    for pk, deal, nano, since in rows(_IN_REVIEW):
        for level, after in enumerate(REVIEW_REMINDERS):
            if now - since >= after:
                hours = after // dt.timedelta(hours=1)
                yield Cause(
                    "deposit_waits",
                    key=f"{pk}:{hours}",
                    facts={
                        "deposit": pk,
                        "deal": str(deal),
                        "amount": format_ton(nano),
                        "hours": hours,
                    },
                    since=since,
                    page=page_of("payments_deposit", pk),
                    level=level,
                )


@detector()
def chain_is_read() -> Iterator[Cause]:
    """The chain reader stands still, or works on blocks of long ago."""
    before = timezone.now() - BEHIND_AFTER
    for block_at, read_at in rows(_CURSOR):
        since = min(filter(None, (block_at, read_at)), default=None)
        if since is not None and since < before:
            yield Cause(
                "chain_behind",
                facts={"block_at": moment(block_at), "read_at": moment(read_at)},
                since=since,
                page=list_of("payments_chaincursor"),
            )


@detector(every_s=10)
def deposits_are_found_in_time() -> Iterator[Cause]:
    """Within the last hour a deposit was found long after its block."""
    parameters = {"since": timezone.now() - STUCK_AFTER, "late": BEHIND_AFTER}
    for count, deal, nano, pk, minutes, seen_at in rows(_LATE, parameters):
        yield Cause(
            "deposits_late",
            facts={
                "count": count,
                "deal": str(deal),
                "amount": format_ton(nano),
                "minutes": minutes,
            },
            since=seen_at,
            page=page_of("payments_deposit", pk),
        )


def _sum(stuck: list[Any]) -> str:
    return format_ton(sum(row[4] for row in stuck))
