"""How much may be signed: per transfer, per hour and per day, whoever asks and whatever went wrong.

The figures come from the signer's own settings. Money between own wallets does not count. Deposits
that go back have windows of their own, as large: a stranger who sends and gets back keeps no payout
waiting.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import Sum

from advertmarket.db import hold_name, requires_transaction
from payments.models import Settlement, TonTransaction

from .transfers import BETWEEN_OWN_WALLETS, DECIDED, DEPOSITS_BACK, MUCH_LATER, NotNow

_WINDOWS = (("hour", dt.timedelta(hours=1)), ("day", dt.timedelta(days=1)))


@requires_transaction
def check_limits(*, settlement: Settlement, sent_nano: int, at: dt.datetime) -> None:
    """Return if `sent_nano` (nanoTON) may be signed now; other signatures wait until it is stored.

    Raises:
        NotNow: a limit is reached; an operator must raise it, or time must pass.
    """
    if settlement.kind in BETWEEN_OWN_WALLETS:
        return
    most = settings.SIGNING_LIMITS_NANO
    if sent_nano > most["transfer"]:
        raise _beyond("transfer", most["transfer"])
    hold_name("signing limits")
    counted = DEPOSITS_BACK if settlement.kind in DEPOSITS_BACK else DECIDED
    for name, window in _WINDOWS:
        signed = (
            TonTransaction.objects.filter(
                direction=TonTransaction.Direction.OUT, signed_at__gt=at - window
            )
            .exclude(state__in=[TonTransaction.State.EXPIRED, TonTransaction.State.FAILED])
            .filter(settlement__kind__in=counted)
            .aggregate(sum=Sum("amount_nano"))["sum"]
        )
        if (signed or 0) + sent_nano > most[name]:
            raise _beyond(name, most[name])


def _beyond(name: str, nano: int) -> NotNow:
    return NotNow(
        f"the limit of {nano} nanoTON signed per {name}",
        MUCH_LATER,
        stuck=f"the limit per {name} is reached",
    )
