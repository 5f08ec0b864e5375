"""Looks at posts while they must stay, by two probes, and writes down what it saw."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
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
_PROBE_LOST = "an answer to setting its buttons again was lost: they may have been other ones"


@dataclass(frozen=True)
class _Seen:
    """What a look found of one message."""

    message_id: int
    verdict: Verdict
    forward: Answer
    markup: Answer
    detail: str


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
        LeaseLost: another worker looks.
    """
    deal = Deal.objects.get(id=planned.deal_id)
    seen = [_look_at_message(planned, deal, *message) for message in _messages(deal.id)]
    verdict = worst([one.verdict for one in seen])
    chosen = next(one for one in seen if one.verdict is verdict)
    detail = "; ".join(one.detail for one in seen if one.detail)
    if verdict is Verdict.PASSED and planned.open_probes:
        verdict, detail = Verdict.UNKNOWN, _PROBE_LOST
    elif verdict is Verdict.PASSED and deal.channel_was_public:
        verdict, detail = _look_at_channel(deal.channel_id)
    suspected = [one.message_id for one in seen if _is_suspected(planned, one)]
    return Look(verdict, chosen.forward, chosen.markup, detail, suspected)


def _look_at_channel(channel_id: int) -> tuple[Verdict, str]:
    """Tell whether a channel that was public still is: few would see the ad otherwise."""
    try:
        is_public = calls.has_username(channel_id)
    except TelegramError as error:
        return Verdict.API_ERROR, f"the channel: {error}"
    if is_public:
        return Verdict.PASSED, ""
    return Verdict.CHANNEL_PRIVATE, "the channel has no username any more"


def _is_suspected(planned: PlannedCheck, seen: _Seen) -> bool:
    """Tell whether it was not found; what was not found before stays so until it is seen."""
    was = str(seen.message_id) in planned.suspected
    return seen.verdict is Verdict.SUSPECTED or (was and seen.verdict is Verdict.API_ERROR)


def _messages(deal_id: UUID) -> Iterator[tuple[int, Content]]:
    """Yield the ids of the post's messages with what was approved for each."""
    creative = records.approved_creative(Deal.objects.get(id=deal_id))
    posted = PostAttempt.objects.filter(deal_id=deal_id, state=PostAttempt.State.POSTED)
    for attempt in posted.order_by("part"):
        approved = [Content.from_json(item) for item in creative.parts[attempt.part]]
        yield from zip(attempt.message_ids, approved, strict=True)


def _look_at_message(
    planned: PlannedCheck, deal: Deal, message_id: int, approved: Content
) -> _Seen:
    """Forward it and compare; only where Telegram refuses that, set its buttons again."""
    forward, seen = _forward(deal.channel_id, message_id, approved)
    markup, answered = Answer.NOT_ASKED, ""
    if forward in _UNSURE | {Answer.UNKNOWN}:
        markup, answered = _set_buttons(planned, deal.channel_id, message_id, approved)
    asks = bool({forward, markup} & _UNSURE)
    verdict = conclude(
        forward=forward,
        markup=markup,
        was_suspected=records.was_suspected(
            planned=planned, deal=deal, message_id=message_id, at=timezone.now()
        ),
        bot_is_admin=calls.bot_is_admin(deal.channel_id) if asks else None,
    )
    detail = "" if verdict is Verdict.PASSED else f"message {message_id}: {seen} {answered}"
    return _Seen(message_id, verdict, forward, markup, detail.strip())


def _forward(channel_id: int, message_id: int, approved: Content) -> tuple[Answer, str]:
    try:
        found = calls.look_at(channel_id, message_id)
    except NotOurTurn:
        raise
    except TelegramError as error:
        return read_refusal(error), str(error)
    changed = ", ".join(differing(approved, found))
    return read_difference(compare(approved, found)), f"differs in {changed}"


def _set_buttons(
    planned: PlannedCheck, channel_id: int, message_id: int, approved: Content
) -> tuple[Answer, str]:
    """Set the approved buttons; written down before, since a lost answer may have restored them."""
    with transaction.atomic():
        records.open_probe(planned=planned)
    try:
        calls.set_buttons_again(channel_id, message_id, approved)
    except TelegramError as error:
        if error.took_effect is False:
            with transaction.atomic():
                records.close_probe(planned=planned)
        if isinstance(error, NotOurTurn):
            raise
        return read_refusal(error), str(error)
    return Answer.RESTORED, "its buttons were other ones"
