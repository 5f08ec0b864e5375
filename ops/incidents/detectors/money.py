"""Transfers that do not go out, wallets that may not sign, deposits that wait or came late."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.utils import timezone, translation

from advertmarket.money import format_ton
from ops.incidents.causes import Cause, list_of, moment, page_of
from ops.query import rows
from ops.stuck import STUCK_AFTER, stuck_transfers
from payments.deposits.review import REVIEW_REMINDERS
from payments.selectors import pause_state

from . import detector

BEHIND_AFTER = dt.timedelta(minutes=30)
"""By the runbook's table of financial incidents."""

LATELY = dt.timedelta(hours=1)
"""For so long a deposit that was found late is told of."""

EACH = 5
"""So many stuck transfers, the oldest, have an incident each, and the others share one: nobody
reads a hundred alarms of one cause at night. It is the same with frozen wallets."""

_PAUSED = """
WITH paused AS (
    SELECT min(at) AS since_at FROM payment_pauses
     WHERE paused AND id > (SELECT coalesce(max(id), 0) FROM payment_pauses WHERE NOT paused)
)
SELECT count(*), sum(amount_nano), min(greatest(state_since_at, since_at))
  FROM settlements, paused
 WHERE state IN ('QUEUED', 'SIGNED') AND unclaimed_since_at IS NULL
   AND greatest(state_since_at, since_at) < %(before)s
"""
"""Nobody's word stands behind a pause by a Redis that is away or lost its memory: what was queued
before that counts from then."""

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
    """A transfer of any kind has been waiting for us for over an hour, or a pause keeps it."""
    at = timezone.now()
    stuck = stuck_transfers(at)
    for one in stuck[:EACH]:
        yield Cause(
            "payout_stuck",
            key=str(one.pk),
            facts={
                "transfer": one.kind,
                "state": one.state,
                "deal": str(one.deal),
                "amount": format_ton(one.amount_nano),
                "waiting_for": one.waiting_for or "—",
            },
            since=one.since,
            page=page_of("payments_settlement", one.pk),
        )
    if more := stuck[EACH:]:
        yield Cause(
            "payouts_stuck",
            facts={
                "count": len(more),
                "amount": format_ton(sum(one.amount_nano for one in more)),
            },
            since=more[0].since,
            page=list_of("payments_settlement"),
        )
    yield from _kept_by_a_pause(at)


def _kept_by_a_pause(at: dt.datetime) -> Iterator[Cause]:
    with translation.override("en"):  # facts are stored
        pause = pause_state()
    [(count, nano, since)] = rows(_PAUSED, {"before": at - STUCK_AFTER})
    if pause.paused and count:
        yield Cause(
            "payouts_paused",
            facts={
                "count": count,
                "amount": format_ton(int(nano)),
                "waiting_for": "; ".join(pause.reasons),
            },
            since=since,
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
            subjects=[str(subwallet) for subwallet, _, _ in more],
            found=len(more),
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
    """Lately a deposit was found long after its block."""
    parameters = {"since": timezone.now() - LATELY, "late": BEHIND_AFTER}
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
