"""The commission that new deals bear."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from pydantic import Field

from advertmarket.actors import Actor
from advertmarket.db import hold_name
from advertmarket.errors import Code, DomainError
from advertmarket.money import MAX_NANO
from payments.models import CommissionTier

from .registry import FourEyes, Nano, NanoOrNothing, Payload, operation

MOST_BP = 5_000
"""50 %: no price bears more."""


class TiersOverlap(DomainError):
    """Two tiers cover one price, or a tier covers none."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("Tiers must not overlap, and each must cover a price.")


class Tier(Payload):
    """The rate, in basis points, of prices from `min_nano` up to below `max_nano`."""

    min_nano: NanoOrNothing
    max_nano: Nano | None = None
    rate_bp: int = Field(strict=True, ge=0, le=MOST_BP)


class Tiers(Payload):
    """All tiers; a price that none covers bears the fallback."""

    tiers: list[Tier] = Field(max_length=100)


@operation("commission.set_tiers", Tiers, four_eyes=FourEyes.ALWAYS)
def set_tiers(payload: Tiers, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime) -> None:
    """Replace the tiers. Deals keep the rate that they were made with.

    Raises:
        TiersOverlap: it is not clear what a price bears.
    """
    ordered = sorted(payload.tiers, key=lambda tier: tier.min_nano)
    ends = [MAX_NANO + 1 if tier.max_nano is None else tier.max_nano for tier in ordered]
    begins = [tier.min_nano for tier in ordered]
    is_empty = any(end <= begin for begin, end in zip(begins, ends, strict=True))
    overlaps = any(end > begin for end, begin in zip(ends, begins[1:], strict=False))
    if is_empty or overlaps:
        raise TiersOverlap
    hold_name("commission tiers")  # replaced twice at once, both would stay
    CommissionTier.objects.all().delete()
    CommissionTier.objects.bulk_create(
        CommissionTier(min_nano=tier.min_nano, max_nano=tier.max_nano, rate_bp=tier.rate_bp)
        for tier in ordered
    )
