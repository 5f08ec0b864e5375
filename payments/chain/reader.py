"""The chain reader: every masterchain block in turn, each booked in one commit with the cursor.

A block is accepted only if the indexer claims to have it and it holds the masterchain's own
chain transactions: an unindexed block is answered with an empty list.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from advertmarket.db import requires_transaction
from payments.models import ChainCursor, Escrow, Settlement, Wallet
from payments.ton.api import TonApi, TonUnavailable
from payments.ton.client import TonClient
from payments.ton.schema import MASTERCHAIN_PREFIX, Block, ChainTransaction, Shown

from .booking import MissingLink, book

logger = logging.getLogger(__name__)

FAR_BEHIND_BLOCKS = 200
"""From here on (some ten minutes) the wallets that are waited for do not wait for the blocks."""

CATCH_UP_BATCH = 50
"""How many accounts one request asks about."""


def read_new_blocks(
    client: TonClient, *, at_most: int, should_stop: Callable[[], bool] = lambda: False
) -> int:
    """Book up to `at_most` further blocks, fewer if asked to stop, and return how many.

    The first call ever only places the cursor at the chain's head: wallets are younger than that.

    Raises:
        TonUnavailable: the chain cannot be asked; what was booked stays booked.
    """
    head = head_of_ours(client)
    cursor = ChainCursor.objects.first()
    if cursor is None:
        place_cursor(head)
        return 0
    note_head(head)
    if head.seqno - cursor.seqno > FAR_BEHIND_BLOCKS:
        catch_up(client, head_seqno=head.seqno)
    done = 0
    for seqno in range(cursor.seqno + 1, min(head.seqno, cursor.seqno + at_most) + 1):
        if should_stop():
            break
        found = client.block_chain_transactions(seqno)
        own = [tx for tx in found if tx.account.startswith(MASTERCHAIN_PREFIX)]
        if not own:
            logger.warning("block %s is not indexed yet: waiting", seqno)
            break
        block_at = max(client.whole(tx).now for tx in own)
        store_block(client, seqno=seqno, block_at=block_at, found=found)
        done += 1
    return done


def catch_up(client: TonClient, *, head_seqno: int) -> None:
    """Book the wallets that somebody waits for up to block `head_seqno`, ahead of the cursor.

    After a long stop the blocks take hours; these wallets' own histories take minutes. The blocks
    follow all the same, and pass over what is booked already.

    Raises:
        TonUnavailable: the chain cannot be asked; what was booked stays booked.
    """
    waited_for = Wallet.objects.filter(
        Q(escrow__state__in=[Escrow.State.AWAITING, Escrow.State.FUNDED])
        | Q(settlements__state__in=Settlement.WORKING)
    )
    known = list(waited_for.distinct().order_by("last_lt").values_list("address", "last_lt"))
    for start in range(0, len(known), CATCH_UP_BATCH):
        batch = known[start : start + CATCH_UP_BATCH]
        addresses = [address for address, _last_lt in batch]
        after_lt = min(last_lt for _address, last_lt in batch)
        for tx_address, shown in _by_address(
            client.account_chain_transactions(addresses, after_lt=after_lt), head_seqno
        ).items():
            _catch_up_wallet(tx_address, shown)


def _by_address(
    found: list[ChainTransaction], head_seqno: int
) -> dict[str, list[ChainTransaction]]:
    by_address = defaultdict(list)
    for tx in found:
        if tx.mc_block_seqno <= head_seqno:
            by_address[tx.account].append(tx)
    return by_address


def _catch_up_wallet(address: str, shown: list[ChainTransaction]) -> None:
    try:
        _refuse_unfinished({address: shown})
        with transaction.atomic():
            book_all({address: shown}, timezone.now())
    except (MissingLink, TonUnavailable) as gap:  # its blocks will tell
        logger.warning("%s is not caught up ahead of the blocks: %r", address, gap)


def store_block(
    client: TonClient, *, seqno: int, block_at: dt.datetime, found: list[Shown]
) -> None:
    """Book what block `seqno` brought our wallets and advance the cursor, in one commit.

    A wallet with chain transactions that we have not booked is caught up from its account first,
    in addition to what the block shows of it.

    Raises:
        TonUnavailable: what a wallet's history is cannot be told; nothing of this block was booked.
    """
    by_address = defaultdict(list)
    for tx in found:
        by_address[tx.account].append(tx)
    ours = set(
        Wallet.objects.filter(address__in=list(by_address)).values_list("address", flat=True)
    )
    wanted = {address: [client.whole(tx) for tx in by_address[address]] for address in ours}
    _refuse_unfinished(wanted)
    try:
        _commit_block(seqno, block_at, wanted)
    except MissingLink as missing:
        logger.warning("catching up %s before block %s", missing, seqno)
        for address, shown in wanted.items():
            known = {tx.lt: tx for tx in _missed(client, address, up_to_seqno=seqno)}
            wanted[address] = list({**known, **{tx.lt: tx for tx in shown}}.values())
        _refuse_unfinished(wanted)
        try:
            _commit_block(seqno, block_at, wanted)
        except MissingLink as still:
            raise TonUnavailable(reason=f"the history of {still} is incomplete") from still


def _commit_block(
    seqno: int, block_at: dt.datetime, wanted: dict[str, list[ChainTransaction]]
) -> None:
    at = timezone.now()
    with transaction.atomic():
        cursor = ChainCursor.objects.select_for_update(no_key=True).get()
        if cursor.seqno + 1 != seqno:
            return
        book_all(wanted, at)
        cursor.seqno, cursor.block_at, cursor.read_at = seqno, block_at, at
        cursor.head_seqno = max(cursor.head_seqno, seqno)
        cursor.save()


@requires_transaction
def book_all(wanted: dict[str, list[ChainTransaction]], at: dt.datetime) -> None:
    """Lock the wallets of these raw addresses, and book the chain transactions of each by lt.

    Raises:
        MissingLink: one follows another that is not booked; nothing of it was.
    """
    wallets = Wallet.objects.select_for_update(no_key=True).filter(address__in=list(wanted))
    for wallet in wallets.order_by("subwallet"):
        for tx in sorted(wanted[wallet.address], key=lambda tx: tx.lt):
            book(wallet=wallet, tx=tx, at=at)


def _refuse_unfinished(wanted: dict[str, list[ChainTransaction]]) -> None:
    """Of a block's chain transactions of one account, the last one shows the balance it left."""
    for address, shown in wanted.items():
        if shown and max(shown, key=lambda tx: tx.lt).balance_after is None:
            raise TonUnavailable(reason=f"the balance of {address} after the block is not shown")


def _missed(client: TonClient, address: str, *, up_to_seqno: int) -> list[ChainTransaction]:
    last_lt = Wallet.objects.values_list("last_lt", flat=True).get(address=address)
    return [
        tx
        for tx in client.account_chain_transactions([address], after_lt=last_lt)
        if tx.mc_block_seqno <= up_to_seqno
    ]


def head_of_ours(client: TonApi) -> Block:
    """Return the chain's head: coins of another network, which cost nothing, are no deposits.

    Raises:
        TonUnavailable: the chain cannot be asked, or it is not the one that is meant.
    """
    head = client.head()
    if head.network not in ("", settings.TON_NETWORK):
        raise TonUnavailable(
            reason=f"TON_API_URL serves {head.network}, and TON_NETWORK is {settings.TON_NETWORK}"
        )
    return head


def note_head(head: Block) -> None:
    """Let confirmations count up to the chain's head, as it was told last.

    A wrong answer is put right by the next one, should it say that there are fewer blocks.
    """
    ChainCursor.objects.filter(seqno__lte=head.seqno).update(head_seqno=head.seqno)


def place_cursor(head: Block) -> None:
    """Begin at the chain's head, unless somebody has begun."""
    with transaction.atomic():
        ChainCursor.objects.get_or_create(
            id=1,
            defaults={
                "seqno": head.seqno,
                "head_seqno": head.seqno,
                "block_at": head.gen_utime,
                "read_at": timezone.now(),
            },
        )
