"""How many deals there may be; counted under a lock, so that two at once are counted as two."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from advertmarket.actors import Actor
from advertmarket.db import hold_name, requires_transaction
from advertmarket.errors import Code, DomainError

from .lifecycle import ACTIVE
from .models import Deal, Dispute

ACTIVE_PER_ADVERTISER = 10
NEW_PER_CHANNEL_A_DAY = 5
DISPUTES_A_WEEK = 3


class TooManyActiveDeals(DomainError):
    """The advertiser has as many deals under way as one may have."""

    code: ClassVar[Code] = Code.LIMIT_EXCEEDED
    message = _("You may have {limit} active deals at a time.")
    public_facts = ("limit",)


class TooManyNewDeals(DomainError):
    """The channel got as many new deals today as a channel may get."""

    code: ClassVar[Code] = Code.LIMIT_EXCEEDED
    message = _("A channel may get {limit} new deals a day.")
    public_facts = ("limit",)


class TooManyDisputes(DomainError):
    """The person disputed as much this week as one may."""

    code: ClassVar[Code] = Code.LIMIT_EXCEEDED
    message = _("You may open {limit} disputes a week.")
    public_facts = ("limit",)


@requires_transaction
def check_active_deals(*, advertiser_id: int) -> None:
    """Refuse one more deal of an advertiser's; holds the count until the commit.

    Raises:
        TooManyActiveDeals: 10 of the advertiser are under way.
    """
    hold_name(f"deals of advertiser {advertiser_id}")
    active = Deal.objects.filter(advertiser_id=advertiser_id, status__in=ACTIVE)
    if active.count() >= ACTIVE_PER_ADVERTISER:
        raise TooManyActiveDeals(limit=ACTIVE_PER_ADVERTISER)


@requires_transaction
def check_new_offers(*, channel_id: int, at: datetime) -> None:
    """Refuse one more offer to a channel; holds the count until the commit.

    Raises:
        TooManyNewDeals: 5 were sent to the channel within 24 hours.
    """
    hold_name(f"deals of channel {channel_id}")
    new = Deal.objects.filter(channel_id=channel_id, submitted_at__gt=at - timedelta(days=1))
    if new.count() >= NEW_PER_CHANNEL_A_DAY:
        raise TooManyNewDeals(limit=NEW_PER_CHANNEL_A_DAY)


@requires_transaction
def check_disputes(*, user_id: int, at: datetime) -> None:
    """Refuse one more dispute of a person's; holds the count until the commit.

    Raises:
        TooManyDisputes: they opened 3 within a week.
    """
    hold_name(f"disputes of {user_id}")
    opened = Dispute.objects.filter(
        opened_by=str(Actor.user(user_id)), opened_at__gt=at - timedelta(days=7)
    )
    if opened.count() >= DISPUTES_A_WEEK:
        raise TooManyDisputes(limit=DISPUTES_A_WEEK)
