"""Leases on rows of the two queues: one row of a chat at a time, in the chat's order."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction
from django.db.models import Exists, F, OuterRef

from advertmarket.db import requires_transaction

from .models import PENDING, ChatQueue

Row = TypeVar("Row", bound=ChatQueue)


def lease(model: type[Row], *, at_most: int, lease_time: timedelta, at: datetime) -> list[Row]:
    """Take the oldest pending row of up to `at_most` chats, where that one is due.

    Whoever does not settle a row within `lease_time` loses it to the next who asks.
    """
    rows = model._default_manager
    older = rows.filter(chat_id=OuterRef("chat_id"), state=PENDING, pk__lt=OuterRef("pk"))
    due = rows.filter(~Exists(older), state=PENDING, due_at__lte=at)
    with transaction.atomic():
        taken = list(due.order_by("pk").select_for_update(skip_locked=True)[:at_most])
        rows.filter(pk__in=[row.pk for row in taken]).update(
            attempts=F("attempts") + 1, due_at=at + lease_time
        )
    for row in taken:
        row.attempts += 1
    return taken


@requires_transaction
def hold(row: Row) -> Row | None:
    """Lock a leased row for settling it, or return None: it is another's by now."""
    rows = type(row)._default_manager.select_for_update()
    return rows.filter(pk=row.pk, state=PENDING, attempts=row.attempts).first()
