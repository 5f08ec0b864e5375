"""Is the audit log what was written? Finds edits, deletions and insertions, a superuser's too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connection

from . import blocks, witness
from .models import AuditEntry, AuditSeal


@dataclass(frozen=True)
class Break:
    """A place where the chain breaks: the block, its entry if one can be named, and what is wrong.

    Deletions and edits of entries are named; of the blocks themselves, the first one that differs.
    """

    block: int
    entry: int | None
    problem: str

    def __str__(self) -> str:
        where = f"block {self.block}" if self.entry is None else f"entry {self.entry}"
        return f"{where} {self.problem}"


def breaks() -> Iterator[Break]:
    """Look at the whole audit log, and yield where it is not what was sealed.

    Raises:
        WitnessAway: Redis is away; all but the log's end was looked at.
    """
    with connection.cursor() as cursor:
        cursor.execute(blocks.CHANGED_ENTRIES, {"after_seal": 0})
        yield from (Break(*found) for found in cursor.fetchall())
    yield from broken_blocks(after=0)
    yield from cut_end(witness.remembered())


def broken_blocks(*, after: int) -> Iterator[Break]:
    """Look at the blocks after one themselves.

    A block's seal may be under a key that is gone; it counts all the same if a later block, built
    on it, is sealed with a key of ours.
    """
    number = proved = after
    previous = _digest(number)
    for block in AuditSeal.objects.filter(number__gt=after).order_by("number").iterator(50):
        if block.number != number + 1:
            yield Break(number + 1, None, "is gone")
        elif not _says_what_was_sealed(block, previous):
            yield Break(block.number, None, "is not what was sealed after the one before")
        if blocks.is_ours(block.digest, block.mac):
            proved = block.number
        number, previous = block.number, block.digest
    if proved != number:
        yield Break(proved + 1, None, "and those after it are sealed with no key of ours")


def cut_end(known: tuple[int, str] | None) -> Iterator[Break]:
    """Look for the end that Redis remembers."""
    if known is not None and _digest(known[0]) != known[1]:
        yield Break(known[0], None, "is not the one that Redis remembers, or is gone")


def last_seal() -> AuditSeal | None:
    """Return the last block."""
    return AuditSeal.objects.order_by("-number").first()


def count_unsealed() -> int:
    """Return how many entries are not sealed yet."""
    last = last_seal()
    return AuditEntry.objects.filter(id__gt=last.last_id if last else 0).count()


def _digest(number: int) -> str:
    return AuditSeal.objects.filter(number=number).values_list("digest", flat=True).first() or ""


def _says_what_was_sealed(block: AuditSeal, previous: str) -> bool:
    ids = block.ids
    named = bool(ids) and (block.first_id, block.last_id, block.entries) == (
        ids[0],
        ids[-1],
        len(ids),
    )
    return (
        named
        and len(block.digests) == len(ids)
        and block.digest
        == blocks.digest_of(
            number=block.number,
            previous=previous,
            ids=ids,
            digests=block.digests,
            sealed_at=block.sealed_at,
        )
    )
