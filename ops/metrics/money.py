"""The money: what waits, what is held and owed, how far the chain is read, whether it may leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from django.utils import timezone
from redis.exceptions import RedisError

from advertmarket.state import redis_state
from ops.query import rows
from ops.stuck import stuck_transfers
from payments.books.chart import SIDES
from payments.sending.pause import EPOCH_KEY, pause_state

from . import FIVE_MINUTES_S, Row, source

_SETTLEMENTS = """
SELECT kind, state, count(*), sum(amount_nano) / 1e9,
       extract(epoch FROM now() - min(state_since_at)),
       extract(epoch FROM now() - min(payable_since_at))
  FROM settlements WHERE NOT state IN ('CONFIRMED', 'CANCELLED') GROUP BY kind, state
"""

_UNCLAIMED = """
SELECT count(*), coalesce(extract(epoch FROM now() - min(unclaimed_since_at)), 0)
  FROM settlements WHERE unclaimed_since_at IS NOT NULL AND state = 'QUEUED'
"""

_DEPOSITS = """
SELECT 'CONFIRMING', count(*), extract(epoch FROM now() - min(seen_at))
  FROM deposits WHERE state = 'CONFIRMING'
 UNION ALL
SELECT 'REVIEW', count(*), extract(epoch FROM now() - min(decided_at))
  FROM deposits WHERE state = 'REVIEW'
 UNION ALL
SELECT 'PARTIAL', count(*), extract(epoch FROM now() - min(partial_since_at))
  FROM escrows WHERE partial_since_at IS NOT NULL
"""

_CURSOR = """
SELECT extract(epoch FROM now() - block_at), extract(epoch FROM now() - read_at),
       head_seqno - seqno
  FROM chain_cursor
"""

_WALLETS = """
SELECT (SELECT count(*) FROM wallets WHERE frozen_at IS NOT NULL),
       (SELECT count(*) FROM wallets
         WHERE reference IS NULL AND reserved_at IS NULL AND last_lt = 0 AND frozen_at IS NULL
           AND subwallet > 0),
       (SELECT balance_nano / 1e9 FROM wallets WHERE subwallet = 0)
"""

_MONEY = """
SELECT 'WALLETS', sum(balance_nano) / 1e9 FROM wallets
 UNION ALL
SELECT split_part(code, ':', 1), sum(balance_nano) / 1e9
  FROM account_balances WHERE balance_nano > 0 GROUP BY 1
"""

_SHOWN: dict[str, str] = {"WALLETS": "held", **SIDES}

_EPOCH = "SELECT epoch::text FROM pause_epoch WHERE NOT needs_second"


@source(
    labels=("kind", "state"),
    settlements_open="Owed transfers that are not over",
    settlements_open_ton="What they owe",
    settlements_oldest_age_seconds="For how long the oldest has been in its state",
    settlements_payable_age_seconds="For how long the oldest has waited for us alone, neither for"
    " its payee nor for the end of a pause",
)
def transfers_that_are_not_over() -> Iterable[Row]:
    """By the index on open ones."""
    return rows(_SETTLEMENTS)


@source(
    labels=("kind",),
    settlements_stuck="Owed transfers that have waited for us alone for over an hour",
)
def transfers_that_are_stuck() -> Iterable[Row]:
    """By the index on open ones; those that the watch tells of."""
    return Counter(one.kind for one in stuck_transfers(timezone.now())).items()


@source(
    payouts_unclaimed="Payouts whose owner has not said where to",
    payouts_unclaimed_oldest_age_seconds="For how long the oldest of them has waited",
)
def unclaimed_payouts() -> Iterable[Row]:
    """By the index on unclaimed ones."""
    return rows(_UNCLAIMED)


@source(
    labels=("state",),
    deposits_waiting="Deposits that confirm, wait for an operator, or for the rest of a price",
    deposits_oldest_age_seconds="For how long the oldest of them has waited",
)
def deposits_that_wait() -> Iterable[Row]:
    """By the indexes on those states; an escrow that holds a part of its price counts as one."""
    return rows(_DEPOSITS)


@source(
    ton_cursor_age_seconds="How old the last booked block is",
    ton_cursor_read_age_seconds="How long ago the chain reader last booked a block",
    ton_cursor_blocks_behind="How many blocks of the chain are not booked",
)
def how_far_the_chain_is_booked() -> Iterable[Row]:
    """Its one row, once there is a cursor."""
    return rows(_CURSOR)


@source(
    wallets_frozen="Wallets that may sign nothing",
    wallets_ready="Deposit addresses in stock",
    treasury_ton="What the treasury's wallet holds, for gas among others",
)
def wallets() -> Iterable[Row]:
    """By the indexes on frozen ones and on deals."""
    return rows(_WALLETS)


@source(
    labels=("account", "side"),
    keep_s=FIVE_MINUTES_S,
    money_ton="What all own wallets hold as booked (held), and what the books say of it: in escrow,"
    " owed to others, nobody's (nobodys), or the platform's own; up to five minutes old",
)
def money() -> Iterable[Row]:
    """A sum over all wallets and one over all accounts, of the same moment."""
    found = dict(rows(_MONEY))
    for account, side in _SHOWN.items():
        yield account, side, found.pop(account, 0)
    assert not found, f"accounts that no side is known of: {sorted(found)}"


@source(
    payouts_paused="1 while no money leaves, whatever the reason",
    payouts_epoch_confirmed="1 while Redis has the epoch that operators confirmed",
    redis_up="1 while Redis can be read",
)
def whether_money_may_leave() -> Iterable[Row]:
    """A Redis that is away pauses payouts, too."""
    paused = pause_state().paused
    try:
        epoch = redis_state().get(EPOCH_KEY)
    except RedisError:
        yield paused, False, False
    else:
        yield paused, [(epoch,)] == rows(_EPOCH), True
