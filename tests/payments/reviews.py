"""What an operator says of the large deposit that came last."""

from __future__ import annotations

import contextlib

from django.db import transaction
from django.utils import timezone

from payments.deposits import review
from payments.models import Deposit
from tests.payments.bank import ACTOR


def reject() -> None:
    """Say no, unless it was decided already."""
    deposit = Deposit.objects.latest("pk")
    with transaction.atomic(), contextlib.suppress(review.NotInReview):
        escrow, deposit = review.lock_in_review(
            deposit_id=deposit.pk, amount_nano=deposit.amount_nano
        )
        review.reject(escrow=escrow, deposit=deposit, actor=ACTOR, at=timezone.now())
