"""What delivery writes down: attempts to post, looks at the post, and what follows from them.

Like services, these want the caller's database transaction and never use the network.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import F, Max

from advertmarket.actors import Actor
from advertmarket.db import constraints, requires_transaction
from advertmarket.errors import DomainError
from channels import selectors as channels
from channels import services as channel_services
from deals.disputes.services import Reason, open_dispute
from deals.lifecycle import Action, Status
from deals.models import Creative, Deal, Hold, PlannedCheck, PostAttempt, PostingCheck
from deals.moves import hold, lock, move
from payments import services as payments

from .verdict import Answer, Verdict

logger = logging.getLogger(__name__)

PUBLISHER = Actor.system("publisher")
VERIFIER = Actor.system("verifier")

DAY_S = 86_400
CHECKED_AFTER_S = (3_600, 14_400, 28_800, 57_600, DAY_S)
"""When a post is looked at, in seconds after publication, at a retention time of 24 h."""

ENOUGH_TO_POST = timedelta(seconds=60)
"""How much of its lease a worker needs to begin: one call takes half of that at most."""

SUSPICION_S = 300
"""How long after a probe did not find the post the other one has to agree, at 24 h."""

RETRIES = 3
RETRY_S, LATE_RETRY_S = 10, 1_800
"""When to ask again after an API error, the first three times and then, at 24 h."""

MAX_UNSEEN_S, LEAST_UNSEEN_S = 36_000, 60
"""How long a post may go without a look that passed, at 24 h; never less than a minute. The planned
looks are 8 hours apart at most."""

_DISPUTED_FOR = {
    Verdict.EDITED: Reason.POST_EDITED,
    Verdict.EDITED_SLIGHTLY: Reason.POST_EDITED_SLIGHTLY,
    Verdict.DELETED: Reason.POST_DELETED,
    Verdict.CHANNEL_PRIVATE: Reason.CHANNEL_PRIVATE,
    Verdict.CHANNEL_UNREACHABLE: Reason.CHANNEL_UNREACHABLE,
    Verdict.UNKNOWN: Reason.INCONCLUSIVE,
}


class LeaseLost(DomainError):
    """Another worker has this deal now, or it has moved on; this worker lets go."""


class LeaseTooShort(DomainError):
    """Asking Telegram took so long that another worker may soon take this deal."""


class ChannelBusy(DomainError):
    """Another post to this channel is under way."""


@dataclass(frozen=True)
class Look:
    """What one look at a post found; `suspected` are the messages that it did not find, by id."""

    verdict: Verdict
    forward: Answer
    markup: Answer
    detail: str
    suspected: Collection[int] = ()


# --- Posting ------------------------------------------------------------------------------------


@requires_transaction
def lock_leased(*, deal_id: UUID, lease: UUID) -> Deal:
    """Lock a deal that this worker posts.

    Raises:
        LeaseLost: it is not this worker's any more.
    """
    deal = lock(deal_id)
    if deal.lease_owner != lease or deal.status != Status.SCHEDULED or deal.held_at is not None:
        raise LeaseLost
    return deal


@requires_transaction
def start_attempt(*, deal_id: UUID, lease: UUID, part: int, at: datetime) -> PostAttempt:
    """Write down that a part is about to be posted.

    Raises:
        LeaseLost: this worker must not post it.
        LeaseTooShort: it has less than a minute left for it.
        ChannelBusy: another post to the channel is under way.
    """
    deal = lock_leased(deal_id=deal_id, lease=lease)
    if deal.leased_until is None or deal.leased_until - at < ENOUGH_TO_POST:
        raise LeaseTooShort
    known = channels.get_channel(deal.channel_id).last_message_id
    errors: dict[str, DomainError] = {
        "post_attempt_one_per_part": LeaseLost(),
        "post_attempt_one_under_way_per_channel": ChannelBusy(),
    }
    with constraints(errors):
        return PostAttempt.objects.create(
            deal=deal,
            channel_id=deal.channel_id,
            part=part,
            known_message_id=known,
            searched_to=known,
            started_at=at,
        )


@requires_transaction
def record_refused(*, deal_id: UUID, attempt_id: int, error: str, at: datetime) -> None:
    """Write down that Telegram posted nothing."""
    lock(deal_id)
    PostAttempt.objects.filter(pk=attempt_id, state=PostAttempt.State.STARTED).update(
        state=PostAttempt.State.REFUSED, error=error[:500], ended_at=at
    )


@requires_transaction
def record_search(*, attempt_id: int, searched_to: int) -> None:
    """Remember up to which id the channel was searched for a post whose fate is unknown."""
    PostAttempt.objects.filter(pk=attempt_id).update(searched_to=searched_to)


@requires_transaction
def record_unresolved(*, deal_id: UUID, lease: UUID, attempt_id: int, at: datetime) -> None:
    """Leave it to an operator whether the post is there: it is not where it should be."""
    deal = lock_leased(deal_id=deal_id, lease=lease)
    attempt = PostAttempt.objects.get(pk=attempt_id)
    note = f"no answer when it was posted, and not found after message {attempt.known_message_id}"
    if attempt.known_message_id == 0:
        note = "no answer when it was posted; no message of the channel is known to search from"
    PostAttempt.objects.filter(pk=attempt_id, state=PostAttempt.State.STARTED).update(
        state=PostAttempt.State.UNRESOLVED, error=note, ended_at=at
    )
    hold(deal=deal, reason=Hold.POST_UNRESOLVED, note=note, actor=PUBLISHER, at=at)


@requires_transaction
def record_posted(
    *, deal_id: UUID, attempt_id: int, message_ids: Sequence[int], at: datetime
) -> None:
    """Write down the messages of a part; with the last part the ad is published.

    A fact, whoever holds the lease by now, and however the deal stands; known already, it changes
    nothing. A deal that is held or no longer SCHEDULED is not published: its operator finds the
    messages in the attempt.
    """
    deal = lock(deal_id)
    attempt = PostAttempt.objects.get(pk=attempt_id)
    if attempt.state not in (PostAttempt.State.STARTED, PostAttempt.State.UNRESOLVED):
        logger.warning("attempt %s was decided before: %s", attempt_id, attempt.state)
        return
    attempt.state, attempt.ended_at = PostAttempt.State.POSTED, at
    attempt.message_ids, attempt.error = list(message_ids), ""
    attempt.save(update_fields=["state", "ended_at", "message_ids", "error"])
    channel_services.note_message(channel_id=deal.channel_id, message_id=max(message_ids))
    posted = PostAttempt.objects.filter(deal=deal, state=PostAttempt.State.POSTED).count()
    is_going_on = deal.status == Status.SCHEDULED and deal.held_at is None
    if is_going_on and posted == len(approved_creative(deal).parts):
        _publish(deal, at)


def approved_creative(deal: Deal) -> Creative:
    """Return the version of the ad that the advertiser approved."""
    return Creative.objects.get(deal=deal, approved_at__isnull=False)


def _publish(deal: Deal, at: datetime) -> None:
    retention = timedelta(seconds=settings.RETENTION_S)
    move(
        deal_id=deal.id,
        action=Action.PUBLISH,
        actor=PUBLISHER,
        at=at,
        published_at=at,
        retention_ends_at=at + retention,
        channel_was_public=bool(channels.get_channel(deal.channel_id).username),
    )
    moved = move(deal_id=deal.id, action=Action.START_VERIFYING, actor=PUBLISHER, at=at)
    PlannedCheck.objects.bulk_create(
        PlannedCheck(deal=moved.deal, planned_at=planned_at, due_at=planned_at)
        for planned_at in check_times(published_at=at, retention=retention)
    )


def check_times(*, published_at: datetime, retention: timedelta) -> list[datetime]:
    """Return when to look at a post: at the fixed times, and at one or two that nobody knows."""
    dice = secrets.SystemRandom()
    surprises = [dice.uniform(0.02, 0.98) for _ in range(dice.randint(1, 2))]
    shares = sorted({after_s / DAY_S for after_s in CHECKED_AFTER_S} | set(surprises))
    return [published_at + retention * share for share in shares]


# --- Verification -------------------------------------------------------------------------------


@requires_transaction
def take_check(*, at: datetime, lease_time: timedelta) -> PlannedCheck | None:
    """Lease the next look that is due: nobody else takes it before `lease_time` is over."""
    planned = (
        PlannedCheck.objects.select_for_update(skip_locked=True, no_key=True, of=("self",))
        .filter(
            done_at=None,
            due_at__lte=at,
            deal__status=Status.DELIVERY_VERIFYING,
            deal__held_at=None,
        )
        .order_by("due_at")
        .first()
    )
    if planned is not None:
        planned.attempts += 1
        planned.due_at = at + lease_time
        planned.save(update_fields=["attempts", "due_at"])
    return planned


@requires_transaction
def postpone_check(*, planned: PlannedCheck, due_at: datetime) -> None:
    """Give a leased look back: nobody was asked anything."""
    PlannedCheck.objects.filter(pk=planned.pk, attempts=planned.attempts, done_at=None).update(
        due_at=due_at
    )


def was_suspected(*, planned: PlannedCheck, deal: Deal, message_id: int, at: datetime) -> bool:
    """Return whether this message was not found before, long enough ago for a second opinion."""
    since = planned.suspected.get(str(message_id))
    if since is None:
        return False
    return at - datetime.fromisoformat(since) >= _at_scale(deal, SUSPICION_S)


@requires_transaction
def open_probe(*, planned: PlannedCheck) -> None:
    """Write down that a message's buttons are about to be set again.

    Raises:
        LeaseLost: another worker looks.
    """
    mine = PlannedCheck.objects.filter(pk=planned.pk, attempts=planned.attempts, done_at=None)
    if not mine.update(open_probes=F("open_probes") + 1):
        raise LeaseLost


@requires_transaction
def close_probe(*, planned: PlannedCheck) -> None:
    """Write down that setting them changed nothing."""
    PlannedCheck.objects.filter(pk=planned.pk).update(open_probes=F("open_probes") - 1)


@requires_transaction
def record_look(*, planned: PlannedCheck, look: Look, at: datetime) -> None:
    """Write down what a leased look found, and do what follows from it.

    An API error or a suspicion is looked into again, a violation, or a look that passed too long
    after the one before, opens a dispute, and the last passed look releases the escrow, in the
    same database transaction.

    Raises:
        LeaseLost: the deal has moved on, or another worker looks.
    """
    deal = lock(planned.deal_id)
    current = PlannedCheck.objects.get(pk=planned.pk)
    is_mine = current.done_at is None and current.attempts == planned.attempts
    if not is_mine or deal.status != Status.DELIVERY_VERIFYING or deal.held_at is not None:
        raise LeaseLost
    unseen_since = _last_seen_at(deal)
    PostingCheck.objects.create(
        deal=deal,
        planned=current,
        verdict=look.verdict,
        forward_probe=look.forward,
        markup_probe=look.markup,
        detail=look.detail[:1000],
        at=at,
    )
    if look.verdict is Verdict.API_ERROR:
        failures = current.results.filter(verdict=Verdict.API_ERROR).count()
        delay_s = LATE_RETRY_S if failures % (RETRIES + 1) == 0 else RETRY_S
        current.due_at = at + _at_scale(deal, delay_s)
    elif look.verdict is Verdict.SUSPECTED:
        current.due_at = at + _at_scale(deal, SUSPICION_S)
    else:
        current.done_at, current.verdict = at, look.verdict
    current.suspected = {
        str(message_id): current.suspected.get(str(message_id), at.isoformat())
        for message_id in look.suspected
    }
    current.save()
    if reason := _DISPUTED_FOR.get(look.verdict):
        _dispute(deal, reason, look.detail, at)
    elif look.verdict is Verdict.PASSED:
        if at - unseen_since > _at_scale(deal, MAX_UNSEEN_S, at_least_s=LEAST_UNSEEN_S):
            note = f"nobody saw it from {unseen_since:%d.%m. %H:%M} to {at:%d.%m. %H:%M}"
            _dispute(deal, Reason.INCONCLUSIVE, note, at)
        else:
            _verify_if_all_passed(deal, at)


def _dispute(deal: Deal, reason: Reason, statement: str, at: datetime) -> None:
    open_dispute(deal_id=deal.id, reason=reason, statement=statement, actor=VERIFIER, at=at)


def _last_seen_at(deal: Deal) -> datetime:
    """Return when the post was last seen as it should be: a look counts when it was made."""
    passed = PostingCheck.objects.filter(deal=deal, verdict=Verdict.PASSED)
    latest = passed.aggregate(at=Max("at"))["at"]
    assert deal.published_at is not None  # by the table's CHECK
    return latest or deal.published_at


def _verify_if_all_passed(deal: Deal, at: datetime) -> None:
    assert deal.retention_ends_at is not None  # by the table's CHECK
    checks = PlannedCheck.objects.filter(deal=deal)
    if checks.exclude(verdict=Verdict.PASSED).exists() or at < deal.retention_ends_at:
        return
    move(deal_id=deal.id, action=Action.VERIFY, actor=VERIFIER, at=at)
    payments.release_escrow(
        reference=deal.id,
        owner_id=deal.owner_id,
        owner_share_nano=deal.owner_share_nano,
        actor=VERIFIER,
        at=at,
    )


def _at_scale(deal: Deal, seconds: float, *, at_least_s: float = 1.0) -> timedelta:
    """Return a time given for 24 h of retention at this deal's; never below `at_least_s`."""
    assert deal.published_at is not None  # by the table's CHECK
    assert deal.retention_ends_at is not None
    scale = (deal.retention_ends_at - deal.published_at) / timedelta(days=1)
    return timedelta(seconds=max(at_least_s, seconds * scale))
