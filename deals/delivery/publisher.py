"""Posts what is due, once.

A worker leases the deal, asks Telegram whether it may still post there, writes the attempt down,
calls, and records. An attempt that a dead worker left behind, or whose answer never came, is
searched for in the channel before anything is sent again.
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from advertmarket.errors import DomainError
from advertmarket.telegram.errors import BadRequest, TelegramError
from channels import services as channel_services
from channels.ownership import prove
from deals.lifecycle import Status
from deals.models import Deal, Hold, PostAttempt
from deals.moves import hold, lease_due, postpone

from . import calls, records
from .content import Content, Parts, digest
from .draft import Draft, Part
from .records import PUBLISHER, ChannelBusy, LeaseLost, LeaseTooShort
from .verdict import Answer, read_refusal

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=180)
UNKNOWN_OUTCOME = timedelta(seconds=60)
"""How long a call whose answer did not come may still take effect at Telegram."""

SOON = timedelta(seconds=5)
LATER = timedelta(seconds=60)
SEARCHED_IDS = 20


class NotNow(Exception):
    """This post cannot go out at present; it waits, and says for what."""

    def __init__(self, waiting_for: str, retry_in: timedelta) -> None:
        super().__init__(waiting_for)
        self.waiting_for, self.retry_in = waiting_for, retry_in


class Publisher:
    """One worker's run over the posts that are due."""

    def __init__(self) -> None:
        self._lease = uuid.uuid4()

    def run(self, *, at_most: int) -> int:
        """Take up to `at_most` due deals and try to post each; return how many were due."""
        for taken in range(at_most):
            with transaction.atomic():
                deal = lease_due(
                    status=Status.SCHEDULED, owner=self._lease, lease=LEASE, at=timezone.now()
                )
            if deal is None:
                return taken
            try:
                self._post(deal)
            except NotNow as wait:
                self._postpone(deal.id, wait)
            except LeaseLost:
                logger.warning("deal %s is in other hands", deal.id)
            except Exception:  # one deal's fault stops no other; its lease runs out
                logger.exception("deal %s could not be posted", deal.id)
        return at_most

    def _post(self, deal: Deal) -> None:
        creative = records.approved_creative(deal)
        parts = _parts(creative.parts)
        left_behind = PostAttempt.objects.filter(deal=deal, state=PostAttempt.State.STARTED).first()
        if left_behind is not None and not self._recover(
            deal, left_behind, parts[left_behind.part]
        ):
            return
        posted = PostAttempt.objects.filter(deal=deal, state=PostAttempt.State.POSTED).count()
        if posted == len(parts):
            return
        self._prove_ownership(deal)
        for number, part in enumerate(Draft.of(creative).parts[posted:], start=posted):
            if not self._post_part(deal, number, part):
                return

    def _prove_ownership(self, deal: Deal) -> None:
        try:
            proof = prove(deal.channel_id, user_id=deal.owner_id, at=timezone.now())
        except DomainError as refusal:
            raise NotNow(f"the channel ({type(refusal).__name__})", LATER) from refusal
        with transaction.atomic():
            channel_services.renew_proof(proof=proof)

    def _post_part(self, deal: Deal, number: int, part: Part) -> bool:
        try:
            with transaction.atomic():
                attempt = records.start_attempt(
                    deal_id=deal.id, lease=self._lease, part=number, at=timezone.now()
                )
        except ChannelBusy as busy:
            raise NotNow("another post to the channel", SOON) from busy
        except LeaseTooShort as late:
            raise NotNow("a worker with time to post it", SOON) from late
        try:
            messages = calls.send(part, deal.channel_id)
        except TelegramError as error:
            self._record_failure(deal, attempt, error)
            return False
        self._record_posted(deal, attempt, [message.message_id for message in messages])
        return True

    def _record_posted(self, deal: Deal, attempt: PostAttempt, message_ids: list[int]) -> None:
        with transaction.atomic():
            records.record_posted(
                deal_id=deal.id,
                attempt_id=attempt.pk,
                message_ids=message_ids,
                at=timezone.now(),
            )

    def _record_failure(self, deal: Deal, attempt: PostAttempt, error: TelegramError) -> None:
        if error.took_effect is None:
            raise NotNow(f"what became of a post without an answer ({error})", UNKNOWN_OUTCOME)
        now = timezone.now()
        with transaction.atomic():
            records.record_refused(deal_id=deal.id, attempt_id=attempt.pk, error=str(error), at=now)
        if not isinstance(error, BadRequest) or read_refusal(error) is Answer.UNREACHABLE:
            retry_in = timedelta(seconds=error.retry_after_s)
            raise NotNow(f"Telegram ({error})", max(retry_in, SOON))
        with transaction.atomic():
            leased = records.lock_leased(deal_id=deal.id, lease=self._lease)
            hold(deal=leased, reason=Hold.POST_REFUSED, note=str(error), actor=PUBLISHER, at=now)

    # --- After a crash, or a call without an answer ----------------------------------------------

    def _recover(self, deal: Deal, attempt: PostAttempt, approved: tuple[Content, ...]) -> bool:
        """Find out whether an attempt posted its part: look at the ids that it may have got."""
        message_ids = self._search(attempt, approved)
        if message_ids:
            self._record_posted(deal, attempt, message_ids)
            return True
        with transaction.atomic():
            records.record_unresolved(
                deal_id=deal.id, lease=self._lease, attempt_id=attempt.pk, at=timezone.now()
            )
        return False

    def _search(self, attempt: PostAttempt, approved: tuple[Content, ...]) -> list[int]:
        wanted, length = digest(approved), len(approved)
        last = attempt.known_message_id + SEARCHED_IDS
        window: dict[int, Content] = {}
        for message_id in range(attempt.searched_to + 1, last + 1):
            content = self._look(attempt, message_id, resume_at=min([*window, message_id]))
            window = {**window, message_id: content} if content else {}
            if len(window) == length:
                if digest(window.values()) == wanted:
                    return list(window)
                del window[min(window)]
        return []

    def _look(self, attempt: PostAttempt, message_id: int, *, resume_at: int) -> Content | None:
        try:
            return calls.look_at(attempt.channel_id, message_id)
        except TelegramError as error:
            if read_refusal(error) in {Answer.NOT_FOUND, Answer.UNKNOWN}:
                return None
            with transaction.atomic():
                records.record_search(attempt_id=attempt.pk, searched_to=resume_at - 1)
            retry_in = max(timedelta(seconds=error.retry_after_s), SOON)
            raise NotNow(f"a look for the post ({error})", retry_in) from error

    def _postpone(self, deal_id: uuid.UUID, wait: NotNow) -> None:
        try:
            with transaction.atomic():
                deal = records.lock_leased(deal_id=deal_id, lease=self._lease)
                postpone(
                    deal=deal,
                    waiting_for=wait.waiting_for,
                    due_at=timezone.now() + wait.retry_in,
                )
        except LeaseLost:
            logger.warning("deal %s is in other hands", deal_id)


def _parts(stored: list[list[dict[str, object]]]) -> Parts:
    return tuple(tuple(Content.from_json(item) for item in part) for part in stored)
