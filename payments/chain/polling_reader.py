"""The chain reader where only API v2 is to be had: every wallet in turn, as of one block.

A round takes the head H, reads each of our wallets as it was at the end of H, and walks back along
the links from its last chain transaction to the one that we booked last. Only when all are booked
does the cursor move to H: "every block that could hold it is read" means the same as with blocks.

The limit: a round asks about each wallet once, at the rate that payouts leave (7 a second of the
default 10). 100 wallets take 15 s, MOST_WALLETS five minutes, and deposits, confirmations and
expiries wait for the round. Beyond some 25,000 the node has forgotten H before the round ends (it
keeps an hour), and the cursor never moves again: get v3.

Proof of reserves: v2 shows no balance after a chain transaction. The wallet's balance as of H is
the one after its last chain transaction, and is compared with the books when that one is booked.
An account that its last chain transaction left without a state (a bounce off a wallet that is not
deployed, storage that ate the last nano) has no history in v2: whatever the books still held there
freezes the wallet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import transaction
from django.utils import timezone

from payments.models import ChainCursor, Wallet
from payments.ton.api import TonUnavailable
from payments.ton.client_v2 import TonClientV2
from payments.ton.schema import Block
from payments.wallets import freeze

from .booking import MissingLink
from .reader import book_all, head_of_ours, note_head, place_cursor

logger = logging.getLogger(__name__)

MOST_WALLETS = 2_000
"""From here on a round takes so long that operators are told, each time."""

_MOST_FAILURES = 3
"""A round goes on past so many wallets that cannot be read; more mean that nothing can."""


def poll_wallets(client: TonClientV2, *, should_stop: Callable[[], bool] = lambda: False) -> int:
    """Book what every wallet's chain shows, and return by how many blocks the cursor moved.

    The first call ever only places the cursor at the chain's head: wallets are younger than that.

    Raises:
        TonUnavailable: a wallet could not be read; what was booked stays booked, the cursor stays.
    """
    head = head_of_ours(client)
    cursor = ChainCursor.objects.first()
    if cursor is None:
        place_cursor(head)
        return 0
    if head.seqno <= cursor.seqno:  # nothing new, or a node that lags
        return 0
    note_head(head)
    # after the head: a wallet that is not among them was not given out when the head was made
    wallets = list(Wallet.objects.order_by("subwallet"))
    if len(wallets) > MOST_WALLETS:
        logger.error("%s wallets are too many to be polled: rounds take minutes", len(wallets))
    failures: list[TonUnavailable] = []
    for wallet in wallets:
        if should_stop():
            return 0
        try:
            _read(client, wallet, head)
        except TonUnavailable as failure:
            logger.warning("wallet %s is not read: %s", wallet.subwallet, failure)
            failures.append(failure)
            if len(failures) > _MOST_FAILURES:
                break
    if failures:
        raise failures[0]
    return _move_cursor(head)


def _read(client: TonClientV2, wallet: Wallet, head: Block) -> None:
    account = client.account_at(wallet.address, seqno=head.seqno)
    found = list(client.history(wallet.address, account, after_lt=wallet.last_lt))
    if found:
        try:
            with transaction.atomic():
                book_all({wallet.address: found}, timezone.now())
        except MissingLink as gap:
            raise TonUnavailable(reason=f"the history of {gap} is incomplete") from gap
    elif account.is_nowhere and wallet.balance_nano:
        with transaction.atomic():
            _freeze_vanished(wallet, head)


def _freeze_vanished(wallet: Wallet, head: Block) -> None:
    locked = Wallet.objects.select_for_update(no_key=True).get(pk=wallet.pk)
    later = locked.chain_transactions.filter(mc_seqno__gt=head.seqno)
    if locked.balance_nano and not later.exists():
        reason = "its account on chain is gone, and the books differ"
        freeze(wallet=locked, reason=reason, at=timezone.now())


def _move_cursor(head: Block) -> int:
    with transaction.atomic():
        cursor = ChainCursor.objects.select_for_update(no_key=True).get()
        moved = head.seqno - cursor.seqno
        if moved <= 0:
            return 0
        cursor.seqno, cursor.block_at, cursor.read_at = head.seqno, head.gen_utime, timezone.now()
        cursor.save()
    return moved
