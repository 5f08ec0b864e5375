"""Writing the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from advertmarket import correlation, origin
from advertmarket.actors import Actor
from advertmarket.db import requires_transaction

from .models import AuditEntry


@requires_transaction
def record(
    *,
    actor: Actor,
    action: str,
    object_type: str,
    object_id: str,
    before: Mapping[str, object] | None,
    after: Mapping[str, object] | None,
    reason: str = "",
    at: datetime,
) -> None:
    """Write down what is done, in the database transaction that does it.

    `before` and `after` hold what changed, ready for JSON; secrets and addresses masked. Of an
    operator the entry says where the request came from; of a user it does not: it is never deleted.
    """
    AuditEntry.objects.create(
        at=at,
        actor_kind=actor.kind,
        actor_id=actor.id,
        action=action,
        object_type=object_type,
        object_id=object_id,
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        reason=reason,
        ip_address=origin.current() if actor.kind == "operator" else None,
        correlation_id=correlation.current(),
    )
