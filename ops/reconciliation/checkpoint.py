"""Up to which posting the books are proved, so that a run need not begin at the first one.

A checkpoint is a summary of the tables and nothing more. It is sealed in the snapshot in which
every check that builds on it passed; it is used only if it still is what was sealed, and a full run
computes all of it anew. What was changed behind it is found by the full run.
"""

from __future__ import annotations

import datetime as dt
import json
import logging

from django.db import connection

from advertmarket import sealing
from advertmarket.db import requires_transaction, wait_for_writers
from ops.checks import Scope
from ops.models import Checkpoint, CheckpointSum

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""How long those who are posting are waited for."""

_PURPOSE = "reconciliation checkpoint"
_LATEST_AT = dt.timedelta(hours=1)
"""A journal's time is its caller's, who may have committed much later; not that much."""

_SUMS = """
SELECT encode(sha256(convert_to(coalesce(string_agg(
           account || ' ' || detail || ' ' || nano, ','
           ORDER BY account COLLATE "C", detail COLLATE "C"), ''), 'UTF8')), 'hex')
  FROM reconciliation_sums
"""

_ADD = """
INSERT INTO reconciliation_sums (account, detail, nano)
SELECT account, detail, nano FROM ledger_changes(%(after)s, %(upto)s) WHERE nano <> 0
    ON CONFLICT (account, detail)
    DO UPDATE SET nano = reconciliation_sums.nano + excluded.nano
"""


def reach() -> int:
    """Return up to which posting a snapshot taken now can be sealed; 0 if none can be told.

    A posting with a lower id may still be committed by somebody who is at it; that is waited for
    (`wait_for_writers`). Runs before the snapshot, outside its database transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM ledger_postings")
        (upto,) = cursor.fetchone()
    if not wait_for_writers("ledger_postings", at_most_s=PATIENCE_S):
        logger.info("the ledger is being written: the checkpoint stays where it is")
        return 0
    return int(upto)


@requires_transaction
def load() -> Checkpoint | None:
    """Return the checkpoint, if there is one and it is what was sealed."""
    checkpoint = Checkpoint.objects.first()
    if checkpoint is None:
        return None
    if not sealing.is_sealed(_content(checkpoint), checkpoint.mac, purpose=_PURPOSE):
        logger.error("the checkpoint is not what was sealed: everything is looked at instead")
        return None
    return checkpoint


def scope_since(checkpoint: Checkpoint) -> Scope:
    """Return the scope of a look that begins at a checkpoint."""
    return Scope(
        after=checkpoint.posting_id,
        after_block=checkpoint.block_seqno,
        posted_after=checkpoint.sealed_at - _LATEST_AT,
    )


@requires_transaction
def seal(*, since: Checkpoint | None, upto: int, at: dt.datetime) -> None:
    """Move the checkpoint from where it is (`since`), or from the beginning, up to a posting.

    In the snapshot that was looked at.
    """
    after = since.posting_id if since else 0
    if upto <= after:
        return
    if since is None:
        forget()
    with connection.cursor() as cursor:
        cursor.execute(_ADD, {"after": after, "upto": upto})
        cursor.execute("DELETE FROM reconciliation_sums WHERE nano = 0")
        cursor.execute("SELECT coalesce(max(seqno), 0) FROM chain_cursor")
        (block_seqno,) = cursor.fetchone()
    checkpoint = since or Checkpoint()
    checkpoint.posting_id, checkpoint.block_seqno, checkpoint.sealed_at = upto, block_seqno, at
    checkpoint.mac = sealing.seal(_content(checkpoint), purpose=_PURPOSE)
    checkpoint.save()


@requires_transaction
def forget() -> None:
    """Let the next run look at everything."""
    Checkpoint.objects.all().delete()
    CheckpointSum.objects.all().delete()


def _content(checkpoint: Checkpoint) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute(_SUMS)
        (sums,) = cursor.fetchone()
    sealed_at = checkpoint.sealed_at.astimezone(dt.UTC).isoformat()
    return json.dumps([checkpoint.posting_id, checkpoint.block_seqno, sealed_at, sums]).encode()
