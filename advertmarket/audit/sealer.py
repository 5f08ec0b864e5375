"""Seal the audit log in blocks, shortly after its entries were committed.

A chain that is written with each entry would make them queue for its end (it cost 73 % of all
commits). So an entry can be changed unnoticed in the seconds before it is sealed, and never after.
"""

from __future__ import annotations

import datetime as dt
import logging

from django.db import connection, transaction

from advertmarket.db import hold_name, wait_for_writers

from . import blocks, witness
from .models import AuditEntry, AuditSeal

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""How long those who are writing entries are waited for."""


class ChainBroken(RuntimeError):
    """The last block is not one that we sealed: nothing is built on it before somebody looked."""


def seal(*, at: dt.datetime, patience_s: float = PATIENCE_S) -> int:
    """Seal every entry committed so far, and return how many these were.

    An entry whose database transaction is still open may have a lower id than others: it is waited
    for, and if that takes too long nothing is sealed this time, so that no entry can be passed
    over. Nor is anything while Redis is away: what it remembers of an end that was cut off would be
    written over. Runs outside a database transaction.

    Raises:
        ChainBroken: the last block is not ours, or not the one that Redis remembers.
    """
    upto = AuditEntry.objects.order_by("-id").values_list("id", flat=True).first()
    last = AuditSeal.objects.order_by("-number").first()
    if upto is None or (last is not None and upto <= last.last_id):
        return 0
    if not wait_for_writers(AuditEntry._meta.db_table, at_most_s=patience_s):
        logger.info("the audit log is being written: sealed next time")
        return 0
    try:
        known = witness.remembered()
    except witness.WitnessAway as away:
        logger.warning("the audit log is sealed next time: %s", away)
        return 0
    sealed = 0
    while block := _seal_next(upto, known, at):
        witness.remember(block.number, block.digest)
        sealed += block.entries
    return sealed


@transaction.atomic
def _seal_next(upto: int, known: tuple[int, str] | None, at: dt.datetime) -> AuditSeal | None:
    hold_name("audit seals")
    last = AuditSeal.objects.order_by("-number").first()
    _refuse_broken(last, known)
    found = _entries(after=last.last_id if last else 0, upto=upto)
    if not found:
        return None
    number = last.number + 1 if last else 1
    ids, digests = [entry for entry, _ in found], [digest for _, digest in found]
    digest = blocks.digest_of(
        number=number,
        previous=last.digest if last else "",
        ids=ids,
        digests=digests,
        sealed_at=at,
    )
    return AuditSeal.objects.create(
        number=number,
        first_id=ids[0],
        last_id=ids[-1],
        entries=len(ids),
        ids=ids,
        digests=digests,
        digest=digest,
        mac=blocks.mac_of(digest),
        sealed_at=at,
    )


def _refuse_broken(last: AuditSeal | None, known: tuple[int, str] | None) -> None:
    if last is not None and not blocks.is_ours(last.digest, last.mac):
        raise ChainBroken(f"audit seal {last.number} was not made with a key of ours")
    if known is not None:
        number, digest = known
        if not AuditSeal.objects.filter(number=number, digest=digest).exists():
            raise ChainBroken(f"audit seal {number} is not the one that Redis remembers")


def _entries(*, after: int, upto: int) -> list[tuple[int, str]]:
    with connection.cursor() as cursor:
        cursor.execute(blocks.ENTRIES, {"after": after, "upto": upto, "most": blocks.MOST_ENTRIES})
        found: list[tuple[int, str]] = cursor.fetchall()
    return found
