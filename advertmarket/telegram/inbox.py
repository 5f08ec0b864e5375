"""Updates from Telegram: stored at once, handled by a worker in the order of each chat."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from advertmarket import correlation
from advertmarket.db import requires_transaction
from advertmarket.wake import wake_after_commit

from .client import bot
from .dispatcher import dispatch
from .errors import TelegramError
from .incoming import Incoming, parse
from .models import Update
from .queue import hold, lease

logger = logging.getLogger(__name__)

HANDLE = "telegram.tasks.handle_updates"
LEASE = timedelta(seconds=60)
RETRY_DELAYS = tuple(timedelta(seconds=s) for s in (1, 5, 30, 120))
"""After the last of these an update that still fails is set aside."""

KEPT = timedelta(hours=48)
"""Telegram repeats an update for 24 hours: https://core.telegram.org/bots/api#getting-updates."""

SET_ASIDE_KEPT = timedelta(days=30)
"""Time for an operator to find out why; it holds what people wrote, so not for ever."""


_STORE = """
INSERT INTO telegram_updates
       (id, chat_id, kind, body, correlation_id, due_at, created_at, state, attempts, error)
VALUES (%s, %s, %s, %s, %s, %s, %s, 'PENDING', 0, '')
ON CONFLICT (id) DO NOTHING
"""
"""One statement and no BEGIN: Telegram waits for the answer."""

_MAX_ATTEMPTS = len(RETRY_DELAYS) + 1


class WorkerDied(RuntimeError):
    """Every worker that began to handle the update ended before it said how that went."""


class NotAnUpdate(ValueError):
    """The body is not an update of the Bot API."""


def store(body: bytes, *, at: datetime) -> None:
    """Keep an update, once, however often Telegram sends it.

    Raises:
        NotAnUpdate: there is nothing to keep.
    """
    try:
        text = body.decode()
        incoming = parse(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise NotAnUpdate(repr(error)) from error
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE,
            [
                *(incoming.update_id, incoming.chat_id, incoming.kind, text),
                *(correlation.current(), at, at),
            ],
        )
    wake_after_commit(HANDLE)


def find(update_id: int) -> tuple[Incoming, datetime] | None:
    """Return an update that came within the last 48 hours, and when it came."""
    update = Update.objects.filter(id=update_id).first()
    return None if update is None else (parse(json.loads(update.body)), update.created_at)


def handle_next(*, at: datetime) -> bool:
    """Handle the oldest due update of some chat; return whether there was one."""
    leased = lease(Update, at_most=1, lease_time=LEASE, at=at)
    for update in leased:
        with correlation.bind(update.correlation_id):
            _handle(update, at=at)
    return bool(leased)


def _handle(leased: Update, *, at: datetime) -> None:
    try:
        _attempt(leased, at=at)
    except Exception as error:
        logger.exception("update %s failed, attempt %s", leased.pk, leased.attempts)
        with transaction.atomic():
            _put_off(leased, error, at=at)


def _attempt(leased: Update, *, at: datetime) -> None:
    if leased.attempts > _MAX_ATTEMPTS:
        raise WorkerDied
    incoming = parse(json.loads(leased.body))
    if incoming.callback_id and leased.attempts == 1:
        _end_waiting(incoming)
    with transaction.atomic():
        update = hold(leased)
        if update is None:
            return
        dispatch(incoming, at=at)
        update.state, update.done_at, update.error = Update.State.DONE, at, ""
        update.save()


def _end_waiting(incoming: Incoming) -> None:
    """Answer the press of a button; whoever presses much later has seen it end by itself."""
    try:
        bot().answer_callback(incoming.callback_id)
    except TelegramError as error:
        logger.info("a press was not answered: %s", error)


def _put_off(leased: Update, error: Exception, *, at: datetime) -> None:
    update = hold(leased)
    if update is None:
        return
    update.error = repr(error)[:2000].replace("\0", "\\0")
    if update.attempts >= _MAX_ATTEMPTS:
        update.state = Update.State.SET_ASIDE
        logger.error("update %s is set aside: %s", update.pk, update.error)
    else:
        update.due_at = at + RETRY_DELAYS[update.attempts - 1]
    update.save()


@requires_transaction
def forget_old(*, at: datetime) -> int:
    """Delete updates handled over 48 hours ago, and those set aside that came over 30 days ago."""
    handled = Q(state=Update.State.DONE, done_at__lt=at - KEPT)
    set_aside = Q(state=Update.State.SET_ASIDE, created_at__lt=at - SET_ASIDE_KEPT)
    deleted, _by_model = Update.objects.filter(handled | set_aside).delete()
    return deleted
