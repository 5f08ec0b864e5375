"""Finding the deals that the system has to move, and moving each in its own database transaction.

What a lost message would have told is found here again; running twice changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.errors import DomainError
from channels import selectors as channels
from channels.ownership import OwnershipProof, prove
from payments import selectors as payments
from payments.services import ChainBehind, EscrowNotEmpty, NoWalletReady

from . import endings, services
from .disputes import services as disputes
from .lifecycle import GRACE_S, Action, Status
from .models import Deal, DealEvent, Dispute
from .moves import lease_due, lock, postpone, scaled

logger = logging.getLogger(__name__)

ACTOR = Actor.system("sweeper")
BATCH = 100
REVIVABLE_FOR = timedelta(days=30)
"""How long an expired deal is looked at for a deposit in time; the chain is read within minutes."""

LEASE = timedelta(seconds=180)
RETRY, LATER = timedelta(seconds=5), timedelta(seconds=60)


def request_payments() -> None:
    """Give every accepted deal its deposit address, once its channel's ownership is proved."""
    lease = uuid4()
    for _ in range(BATCH):
        with transaction.atomic():
            deal = lease_due(status=Status.ACCEPTED, owner=lease, lease=LEASE, at=timezone.now())
        if deal is None:
            return
        try:
            _request_payment(deal)
        except Exception:  # one deal's fault stops no other
            logger.exception("deal %s got no deposit address", deal.id)


def fund_deals() -> None:
    """Go on with every deal whose escrow holds its price."""
    waiting = _ids(Status.AWAITING_PAYMENT) + _revivable()
    _each(payments.funded_references(waiting), services.fund_deal)


def settle_deals() -> None:
    """End every deal whose money is where it was decided to be, on chain."""
    waiting = _ids(Status.DELIVERY_VERIFIED) + _ids(Status.DISPUTED)
    _each(payments.settled_references(waiting), endings.settle_deal)


def escalate_disputes() -> None:
    """Tell again of every dispute that nobody decided in time."""
    late = Dispute.objects.filter(state=Dispute.State.OPEN, due_at__lte=timezone.now())
    ids = late.order_by("due_at").values_list("deal_id", flat=True)
    _each(list(ids), disputes.escalate_dispute)


def end_overdue_deals() -> None:
    """End, or dispute, every deal whose deadline and grace have passed."""
    overdue = Deal.objects.filter(
        deadline_at__lt=timezone.now() - scaled(GRACE_S), held_at=None
    ).order_by("deadline_at")
    _each(list(overdue.values_list("id", flat=True)), endings.end_overdue)


def _request_payment(deal: Deal) -> None:
    try:
        proof = _prove(deal)
        with transaction.atomic():
            services.request_payment(deal_id=deal.id, proof=proof, actor=ACTOR, at=timezone.now())
    except DomainError as refusal:
        retry_in = RETRY if isinstance(refusal, NoWalletReady) else LATER
        with transaction.atomic():
            _try_later(deal, type(refusal).__name__, due_at=timezone.now() + retry_in)


def _prove(deal: Deal) -> OwnershipProof | None:
    now = timezone.now()
    channel = channels.get_channel(deal.channel_id)
    if channel.proved_at >= now - services.PROOF_MAX_AGE:
        return None
    return prove(deal.channel_id, user_id=deal.owner_id, at=now)


@requires_transaction
def _try_later(leased: Deal, waiting_for: str, *, due_at: datetime) -> None:
    deal = lock(leased.id)
    if deal.status == Status.ACCEPTED and deal.lease_owner == leased.lease_owner:
        postpone(deal=deal, waiting_for=waiting_for, due_at=due_at)


def _ids(status: Status) -> list[UUID]:
    return list(Deal.objects.filter(status=status, held_at=None).values_list("id", flat=True))


def _revivable() -> list[UUID]:
    """Return the deals that expired unpaid, as long as a deposit in time may still be found."""
    funded = DealEvent.objects.filter(deal=OuterRef("id"), action=Action.FUND)
    expired = Deal.objects.filter(
        status=Status.EXPIRED, status_since_at__gt=timezone.now() - REVIVABLE_FOR
    )
    return list(expired.exclude(Exists(funded)).values_list("id", flat=True))


def _each(deal_ids: Iterable[UUID], service: Callable[..., None]) -> None:
    for deal_id in deal_ids:
        try:
            with transaction.atomic():
                service(deal_id=deal_id, actor=ACTOR, at=timezone.now())
        except (EscrowNotEmpty, ChainBehind) as wait:
            logger.info("deal %s stays as it is: %s", deal_id, type(wait).__name__)
        except DomainError as refusal:
            logger.warning("deal %s: %s refused: %r", deal_id, service.__name__, refusal)
        except Exception:  # one deal's fault stops no other
            logger.exception("deal %s: %s failed", deal_id, service.__name__)
