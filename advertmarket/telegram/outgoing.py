"""What the bot says: rows written with what caused them, sent by a worker afterwards.

After a crash between sending and recording, a message goes out once more; none is ever lost.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from django.db import transaction
from django.db.models import Q

from advertmarket.db import requires_transaction
from advertmarket.metrics import observe
from advertmarket.wake import wake_after_commit

from .client import bot
from .content import Message, Rows, as_keyboard, from_keyboard
from .errors import BadRequest, Forbidden, TelegramError, TooManyRequests, Unauthorized
from .metrics import MESSAGES, NOTICE_DELAY_S
from .models import PENDING, OutgoingMessage
from .queue import hold, lease

logger = logging.getLogger(__name__)

SEND = "telegram.tasks.send_messages"
LEASE = timedelta(seconds=60)
GIVE_UP_AFTER = timedelta(hours=24)
"""For how long Telegram may be away before a message that is not about money is given up."""

KEPT = timedelta(days=30)
"""Longer than any event that asks for a message lives."""

UNSENT_MONEY_KEPT = timedelta(days=90)
"""Time for the person to come back, and for an operator to write to them otherwise."""

_BATCH = 8
_LONGEST_DELAY = timedelta(minutes=10)
_State = OutgoingMessage.State


class UnreachableHandler(Protocol):
    """Notes, in the caller's database transaction, that a person's chat is closed to the bot."""

    def __call__(self, user_id: int, /, *, at: datetime) -> None:
        """Note it of `user_id`."""


H = TypeVar("H", bound=UnreachableHandler)
_unreachable_handlers: list[UnreachableHandler] = []


def when_unreachable(handler: H) -> H:
    """Register the decorated function to hear of people who closed their chat with the bot."""
    _unreachable_handlers.append(handler)
    return handler


@requires_transaction
def say(
    *,
    chat_id: int,
    text: str,
    buttons: Rows = (),
    about_money: bool = False,
    is_reachable: bool = True,
    wanted_at: datetime | None = None,
    at: datetime,
) -> int:
    """Have the bot send `text` (HTML; what people wrote is escaped) to a chat; return its id.

    Messages of a chat go out in the order of this call. `is_reachable=False` keeps it until the
    person opens the chat again. How late a notice is, is measured from `wanted_at`.
    """
    message = OutgoingMessage.objects.create(
        chat_id=chat_id,
        text=text,
        buttons=as_keyboard(buttons),
        about_money=about_money,
        state=PENDING if is_reachable else _State.UNREACHABLE,
        due_at=at,
        created_at=at,
        wanted_at=wanted_at,
    )
    wake_after_commit(SEND)
    return message.pk


@requires_transaction
def release(*, chat_id: int, at: datetime) -> None:
    """Send what is about money and waited for the person to open the chat again."""
    waiting = OutgoingMessage.objects.filter(
        chat_id=chat_id, state=_State.UNREACHABLE, about_money=True
    )
    if waiting.update(state=PENDING, due_at=at, wanted_at=at, error=""):
        wake_after_commit(SEND)


def send_due(*, clock: Callable[[], datetime]) -> None:
    """Send all that is due, a chat's messages one after the other; stop at a refused token."""
    with ThreadPoolExecutor(_BATCH, thread_name_prefix="send") as threads:
        while batch := lease(OutgoingMessage, at_most=_BATCH, lease_time=LEASE, at=clock()):
            outcomes = list(threads.map(_send, batch))
            for message, outcome in zip(batch, outcomes, strict=True):
                is_sent = isinstance(outcome, Message)
                MESSAGES.labels("ok" if is_sent else type(outcome).__name__).inc()
                try:
                    with transaction.atomic():
                        _record(message, outcome, at=clock())
                except Exception:  # what was sent to the others must be recorded all the same
                    logger.exception("message %s was not recorded", message.pk)
            if any(isinstance(outcome, Unauthorized) for outcome in outcomes):
                return


def _send(message: OutgoingMessage) -> Message | TelegramError:
    try:
        return bot().send_message(
            message.chat_id,
            message.text,
            buttons=from_keyboard(message.buttons),
            link_preview=False,
        )
    except TelegramError as error:
        return error
    except Exception as problem:  # one that cannot be sent keeps no other one waiting
        logger.exception("message %s", message.pk)
        return BadRequest(f"not sendable: {problem!r}", code=400)


def _record(leased: OutgoingMessage, outcome: Message | TelegramError, *, at: datetime) -> None:
    message = hold(leased)
    if message is None:
        return
    if isinstance(outcome, Message):
        message.state, message.message_id, message.sent_at = _State.SENT, outcome.message_id, at
        message.error = ""
        if message.wanted_at is not None:
            observe(NOTICE_DELAY_S, at - message.wanted_at)
    else:
        message.error = str(outcome)
        _decide(message, outcome, at)
    message.save()


def _decide(message: OutgoingMessage, error: TelegramError, at: datetime) -> None:
    """Choose what becomes of a message that was not sent."""
    if isinstance(error, Forbidden) and error.user_is_unreachable and message.chat_id > 0:
        _close(message, at)
    elif isinstance(error, TooManyRequests | Unauthorized):
        message.due_at = at + timedelta(seconds=error.retry_after_s)
    elif not error.permanent:
        given_up = at - message.created_at > GIVE_UP_AFTER and not message.about_money
        if given_up:
            message.state = _State.FAILED
        message.due_at = at + min(timedelta(seconds=2 ** min(message.attempts, 10)), _LONGEST_DELAY)
    else:
        message.state = _State.FAILED
    if message.state != PENDING:
        logger.error(
            "a message was not delivered",
            extra={
                "outgoing_id": message.pk,
                "state": message.state,
                "about_money": message.about_money,
                "reason": message.error,
            },
        )


def _close(message: OutgoingMessage, at: datetime) -> None:
    message.state = _State.UNREACHABLE
    OutgoingMessage.objects.filter(chat_id=message.chat_id, state=PENDING).update(
        state=_State.UNREACHABLE, error=message.error
    )
    for handler in _unreachable_handlers:
        handler(message.chat_id, at=at)


@requires_transaction
def forget_old(*, at: datetime) -> int:
    """Delete messages sent over 30 days ago, and those that were not sent and never will be.

    These go 30 days after they were written, one about money after 90. What is PENDING stays.
    """
    unsent = Q(state__in=[_State.FAILED, _State.UNREACHABLE])
    old = Q(about_money=False, created_at__lt=at - KEPT)
    old_money = Q(about_money=True, created_at__lt=at - UNSENT_MONEY_KEPT)
    sent = Q(state=_State.SENT, sent_at__lt=at - KEPT)
    deleted, _by_model = OutgoingMessage.objects.filter(sent | unsent & (old | old_money)).delete()
    return deleted
