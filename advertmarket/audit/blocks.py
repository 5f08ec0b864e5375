"""What a block of the audit log is made of: the digests of its entries, and of the block before."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from typing import LiteralString

from psycopg import sql

from advertmarket import sealing

PURPOSE = "audit log"
"""What the blocks' seals are for."""

MOST_ENTRIES = 1_000
"""How many entries a block holds at most."""

_DIGEST = sql.SQL("""
    encode(sha256(convert_to(jsonb_build_array(
        id, at AT TIME ZONE 'UTC', actor_kind, actor_id, action, object_type, object_id,
        before::text, after::text, reason, ip_address, correlation_id)::text, 'UTF8')), 'hex')
""")
"""All columns of an entry, in one form whatever a session has set.

One that is added later must leave the digests of entries without it as they are.
"""


def _with_digest(query: LiteralString) -> str:
    return sql.SQL(query).format(digest=_DIGEST).as_string(None)


ENTRIES = _with_digest("""
SELECT id, {digest} FROM audit_log
 WHERE id > %(after)s AND id <= %(upto)s ORDER BY id LIMIT %(most)s
""")
"""Entries and their digests."""

CHANGED_ENTRIES = _with_digest("""
SELECT seal.number, entry.id, entry.what FROM audit_seals seal
  LEFT JOIN audit_seals previous ON previous.number = seal.number - 1
 CROSS JOIN LATERAL (
     SELECT id, CASE WHEN present.digest IS NULL THEN 'is gone'
                     WHEN sealed.digest IS NULL THEN 'was slipped in'
                     ELSE 'was changed' END AS what
       FROM unnest(seal.ids, seal.digests) AS sealed (id, digest)
       FULL JOIN (
           SELECT id, {digest} AS digest FROM audit_log
            WHERE id <= seal.last_id
              AND (seal.number = 1 OR id > coalesce(previous.last_id, seal.first_id - 1))
       ) AS present USING (id)
      WHERE sealed.digest IS DISTINCT FROM present.digest) AS entry
 WHERE seal.number > %(after_seal)s
 ORDER BY seal.number, entry.id
""")
"""Entries of the blocks after one that are not those that were sealed."""


def digest_of(
    *,
    number: int,
    previous: str,
    ids: Sequence[int],
    digests: Sequence[str],
    sealed_at: dt.datetime,
) -> str:
    """Return the digest (hex) of a block: all that it says, and the digest of the one before."""
    head = [number, previous, sealed_at.astimezone(dt.UTC).isoformat()]
    content = [*head, *zip(ids, digests, strict=True)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def mac_of(digest: str) -> str:
    """Return the seal of a block's digest."""
    return sealing.seal(digest.encode(), purpose=PURPOSE)


def is_ours(digest: str, mac: str) -> bool:
    """Return whether we sealed this digest."""
    return sealing.is_sealed(digest.encode(), mac, purpose=PURPOSE)
