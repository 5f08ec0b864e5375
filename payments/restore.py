"""What must hold before anything runs on a database that was restored from a backup."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import transaction

from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.audit import witness
from advertmarket.db import requires_transaction

from .models import PauseEpoch
from .wallets import reserve

ACTOR = Actor.system("restore")


@requires_transaction
def after_restore(*, skip: int, at: dt.datetime) -> int:
    """Pause payouts until two operators resume, and pass over what may have been given out.

    The next `skip` subwallets and the stock are never given out, and followed; the last of them is
    returned. The cursor stays: the blocks since the backup are read again. The audit log ends where
    the backup ends: what Redis remembers of its end is forgotten. Done twice, it only skips more.
    """
    epoch = uuid.uuid4()  # in PostgreSQL only: Redis has another one, or none
    PauseEpoch.objects.update_or_create(
        id=1,
        defaults={
            "epoch": epoch,
            "needs_second": True,
            "confirmed_by": str(ACTOR),
            "confirmed_at": at,
        },
    )
    last = reserve(skip=skip, at=at)
    audit.record(
        actor=ACTOR,
        action="payments.restored",
        object_type="pause_epoch",
        object_id="1",
        before=None,
        after={"epoch": str(epoch), "reserved_to": last},
        at=at,
    )
    transaction.on_commit(witness.forget, robust=True)
    return last
