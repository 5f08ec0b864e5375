"""What an owed transfer waits for, in words for those whose money it is.

`Settlement.waiting_for` is for operators: it may hold their reasons, which are not for everybody.
"""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from payments.models import Settlement

from . import settlements
from .transfers import NO_REFUND_ADDRESS

_S = Settlement.State


class Waiting(models.TextChoices):
    """Who or what has to act; nothing once the transfer is over."""

    NOTHING = "", _("nothing")
    TURN = "TURN", _("its turn: it goes out by itself")
    CHAIN = "CHAIN", _("the TON network")
    ADDRESS = "ADDRESS", _("the address to pay to")
    OTHER_ADDRESS = "OTHER_ADDRESS", _("another address: the last one sent the money back")
    OPERATOR = "OPERATOR", _("our operators, who have been told")


def waiting_for(settlement: Settlement) -> Waiting:
    """Return what a settlement waits for."""
    if settlement.state in Settlement.OVER:
        return Waiting.NOTHING
    if settlement.state in (_S.SIGNED, _S.SUBMITTED):
        return Waiting.CHAIN
    if settlement.state == _S.QUEUED:
        no_address = settlement.waiting_for == NO_REFUND_ADDRESS
        return Waiting.ADDRESS if no_address or settlement.unclaimed_since_at else Waiting.TURN
    if settlement.state == _S.HELD and settlement.waiting_for == settlements.SENT_BACK:
        return Waiting.OTHER_ADDRESS
    return Waiting.OPERATOR
