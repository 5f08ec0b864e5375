"""Looks at posts while they must stay, by two probes, and writes down what it saw."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from advertmarket.telegram.errors import NotOurTurn, TelegramError
from deals.models import Deal, PlannedCheck, PostAttempt

from . import calls, records
from .content import Content, compare, differing
from .records import LeaseLost, Look
from .verdict import Answer, Verdict, conclude, read_difference, read_refusal, worst

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=180)
_UNSURE = {Answer.NOT_FOUND, Answer.UNREACHABLE}
_TELLING = {Answer.SAME, Answer.CHANGED, Answer.SLIGHTLY_CHANGED}


def check_next() -> bool:
    """Look at the post whose check is due longest; return whether there was one."""
    with transaction.atomic():
        planned = records.take_check(at=timezone.now(), lease_time=LEASE)
    if planned is None:
        return False
    try:
        look = look_at_post(planned)
        with transaction.atomic():
            records.record_look(planned=planned, look=look, at=timezone.now())
    except NotOurTurn as wait:
        due_at = timezone.now() + timedelta(seconds=wait.retry_after_s)
        with transaction.atomic():
            records.postpone_check(planned=planned, due_at=due_at)
    except LeaseLost:
        logger.warning("a look at deal %s came too late", planned.deal_id)
    except Exception:  # one post that cannot be looked at keeps no other one waiting
        logger.exception("deal %s could not be looked at", planned.deal_id)
    return True


def look_at_post(planned: PlannedCheck) -> Look:
    """Probe every message of the post; the worst counts. Uses the network.

    Raises:
        NotOurTurn: our own limits allow no look now.
    """
    deal = Deal.objects.get(id=planned.deal_id)
    looks = [
        _look_at_message(deal.channel_id, message_id, approved, planned.suspected_at is not None)
        for message_id, approved in _messages(deal.id)
    ]
    verdict = worst([look.verdict for look in looks])
    return next(look for look in looks if look.verdict is verdict)


def _messages(deal_id: UUID) -> Iterator[tuple[int, Content]]:
    """Yield the ids of the post's messages with what was approved for each."""
    creative = records.approved_creative(Deal.objects.get(id=deal_id))
    posted = PostAttempt.objects.filter(deal_id=deal_id, state=PostAttempt.State.POSTED)
    for attempt in posted.order_by("part"):
        approved = [Content.from_json(item) for item in creative.parts[attempt.part]]
        yield from zip(attempt.message_ids, approved, strict=True)


def _look_at_message(
    channel_id: int, message_id: int, approved: Content, was_suspected: bool
) -> Look:
    """Forward it and compare; only where that does not tell, set its buttons again."""
    forward, seen = _forward(channel_id, message_id, approved)
    markup, answered = Answer.NOT_ASKED, ""
    if forward not in _TELLING:
        markup, answered = _set_buttons(channel_id, message_id, approved)
    asks = bool({forward, markup} & _UNSURE)
    verdict = conclude(
        forward=forward,
        markup=markup,
        was_suspected=was_suspected,
        bot_is_admin=calls.bot_is_admin(channel_id) if asks else None,
    )
    detail = "" if verdict is Verdict.PASSED else f"message {message_id}: {seen} {answered}"
    return Look(verdict, forward, markup, detail.strip())


def _forward(channel_id: int, message_id: int, approved: Content) -> tuple[Answer, str]:
    try:
        found = calls.look_at(channel_id, message_id)
    except NotOurTurn:
        raise
    except TelegramError as error:
        return read_refusal(error), str(error)
    changed = ", ".join(differing(approved, found))
    return read_difference(compare(approved, found)), f"differs in {changed}"


def _set_buttons(channel_id: int, message_id: int, approved: Content) -> tuple[Answer, str]:
    try:
        calls.set_buttons_again(channel_id, message_id, approved)
    except NotOurTurn:
        raise
    except TelegramError as error:
        return read_refusal(error), str(error)
    return Answer.RESTORED, "its buttons were other ones"
