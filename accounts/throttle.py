"""How often a password may be tried at the back office; in PostgreSQL, so that Redis may be away.

A try counts as a wrong one before the password is looked at, so that many at once gain nothing;
the right one takes the count back.
"""

from __future__ import annotations

import logging
import math
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from advertmarket.db import requires_transaction
from advertmarket.errors import DomainError

from .models import WrongPasswords

logger = logging.getLogger(__name__)

WINDOW = timedelta(minutes=15)
REFUSED_FOR = timedelta(minutes=15)
TRIES_PER_NAME = 5
TRIES_PER_ADDRESS = 20
"""More than for a name: an office has one address."""


class TooManyWrongPasswords(DomainError):
    """Nobody may try this name, or from this address, for a while."""

    message = _("Too many wrong passwords. Try again in {minutes} min.")


@requires_transaction
def count_try(*, name: str, address: str, at: datetime) -> None:
    """Count a try for the name and from the address as a wrong one.

    Raises:
        TooManyWrongPasswords: the limit of either was reached less than 15 minutes ago.
    """
    limits = _subjects(name, address)
    WrongPasswords.objects.bulk_create(
        [WrongPasswords(subject=subject, began_at=at) for subject in limits],
        ignore_conflicts=True,
    )
    rows = list(
        WrongPasswords.objects.select_for_update().filter(subject__in=limits).order_by("subject")
    )
    refused_until = max((row.refused_until for row in rows if row.refused_until), default=at)
    if refused_until > at:
        raise TooManyWrongPasswords(minutes=math.ceil((refused_until - at) / timedelta(minutes=1)))
    for row in rows:
        if row.refused_until or row.began_at <= at - WINDOW:
            row.tries, row.began_at, row.refused_until = 0, at, None
        row.tries += 1
        if row.tries >= limits[row.subject]:
            row.refused_until = at + REFUSED_FOR
            logger.warning("the last try before a refusal", extra={"subject": row.subject})
        row.save()


@requires_transaction
def forgive(*, name: str, address: str) -> None:
    """Forget the tries for the name and from the address: the password was right."""
    WrongPasswords.objects.filter(subject__in=_subjects(name, address)).delete()


@requires_transaction
def forget(*, at: datetime) -> int:
    """Delete what counts no longer."""
    long_ago = at - WINDOW - REFUSED_FOR
    deleted, _by_model = WrongPasswords.objects.filter(began_at__lt=long_ago).delete()
    return deleted


def _subjects(name: str, address: str) -> dict[str, int]:
    return {
        f"address:{address}"[:200]: TRIES_PER_ADDRESS,
        f"name:{name.casefold()}"[:200]: TRIES_PER_NAME,
    }
