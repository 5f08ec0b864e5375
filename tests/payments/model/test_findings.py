"""What the random runs found, each as a test of its own."""

from __future__ import annotations

import pytest
from django.utils import timezone

from payments.models import CommissionTier
from payments.operations.tiers import Tier, Tiers, set_tiers
from tests.payments.bank import ACTOR


@pytest.mark.django_db
def test_the_last_tier_can_be_removed() -> None:
    """`zip(strict=True)` of no tiers and one end raised ValueError."""
    for tiers in ([Tier(min_nano=0, rate_bp=500)], []):
        payload = Tiers(tiers=tiers)
        set_tiers(payload, evidence=None, reason="test", actor=ACTOR, at=timezone.now())

    assert CommissionTier.objects.count() == 0
