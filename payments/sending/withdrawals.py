"""What owners may do about a payout that does not reach them."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from accounts import services as accounts
from accounts.selectors import payout_address
from advertmarket.actors import Actor
from advertmarket.db import requires_transaction
from advertmarket.errors import Code, DomainError
from payments.models import Settlement, TonTransaction

from . import settlements
from .settlements import NoSuchSettlement
from .waiting import Waiting, waiting_for


class NothingToWithdraw(DomainError):
    """The payout needs nothing of its owner: it goes out by itself, or an operator decides."""

    code: ClassVar[Code] = Code.INVALID_STATE_TRANSITION
    message = _("This payout waits for {waiting_for}.")


class PayoutAddressMissing(DomainError):
    """The user has given no payout address."""

    message = _("Give your payout address first.")


class AddressSentItBack(DomainError):
    """The payout went there, and came back; it would again, at the platform's cost."""

    code: ClassVar[Code] = Code.INVALID_TON_ADDRESS
    message = _("This address sent the payout back; give another one.")


@requires_transaction
def withdraw(
    *,
    settlement_id: UUID,
    user_id: int,
    address: str = "",
    comment: str = "",
    typed_by_hand: bool = False,
    actor: Actor,
    at: dt.datetime,
) -> None:
    """Send an unclaimed or bounced payout to its owner's address, and change that first if given.

    A changed address waits its day, as ever, and the payout with it. What an operator holds stays
    held, and where an operator said where to, the owner cannot say otherwise.

    Raises:
        NoSuchSettlement: the user has no such payout.
        NothingToWithdraw: it is neither unclaimed nor bounced.
        PayoutAddressMissing, AddressSentItBack: there is nowhere to send it.
        DomainError: as `accounts.services.set_payout_address`.
    """
    if not Settlement.objects.filter(
        pk=settlement_id, payee_id=user_id, kind=Settlement.Kind.PAYOUT
    ).exists():
        raise NoSuchSettlement
    if address:
        accounts.set_payout_address(
            user_id=user_id,
            address=address,
            comment=comment,
            typed_by_hand=typed_by_hand,
            actor=actor,
            at=at,
        )
    settlement = settlements.lock(settlement_id)
    waits = waiting_for(settlement)
    if settlement.destination:
        waits = Waiting.OPERATOR
    if waits not in (Waiting.ADDRESS, Waiting.OTHER_ADDRESS):
        raise NothingToWithdraw(waiting_for=waits.label)
    given = payout_address(user_id)
    if given is None:
        raise PayoutAddressMissing
    if settlement.chain_transactions.filter(
        state=TonTransaction.State.BOUNCED, destination=given.address
    ).exists():
        raise AddressSentItBack
    settlements.requeue(settlement=settlement, at=at)
