"""What people see of their own money: sums, and each transfer that is owed to them or was made."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Prefetch, Q, QuerySet, Sum

from advertmarket.api.paging import KeysetPage, PageRequest

from .models import Escrow, Settlement, TonTransaction
from .sending.settlements import NoSuchSettlement
from .sending.transfers import REFUNDS
from .sending.waiting import Waiting, waiting_for

_SHOWN = [Settlement.Kind.PAYOUT, *sorted(REFUNDS)]
_PAYOUTS = Q(kind=Settlement.Kind.PAYOUT)
_OVER = Q(state__in=Settlement.OVER)


@dataclass(frozen=True)
class Summary:
    """A user's money here, in nanoTON; `unclaimed_nano` is the part of `owed_nano` that waits for
    their address.
    """

    in_escrow_nano: int
    owed_nano: int
    unclaimed_nano: int
    paid_nano: int


@dataclass(frozen=True)
class OwnTransfer:
    """A payout or refund as its payee sees it; `sent_nano` is what left for them, once it did."""

    id: UUID
    deal_id: UUID
    kind: str
    state: str
    amount_nano: int
    sent_nano: int | None
    waiting_for: Waiting
    tx_hash: str
    created_at: dt.datetime
    confirmed_at: dt.datetime | None


def summary(user_id: int) -> Summary:
    """Return what escrow holds of a user as advertiser, and what they earned as owner."""
    escrows = Escrow.objects.filter(refund_user_id=user_id, state=Escrow.State.FUNDED)
    sums = Settlement.objects.filter(_PAYOUTS, payee_id=user_id).aggregate(
        owed=Sum("amount_nano", filter=~_OVER),
        unclaimed=Sum("amount_nano", filter=~_OVER & Q(unclaimed_since_at__isnull=False)),
        paid=Sum("amount_nano", filter=Q(state=Settlement.State.CONFIRMED)),
    )
    return Summary(
        in_escrow_nano=escrows.aggregate(sum=Sum("funded_nano"))["sum"] or 0,
        owed_nano=sums["owed"] or 0,
        unclaimed_nano=sums["unclaimed"] or 0,
        paid_nano=sums["paid"] or 0,
    )


def list_transfers(*, user_id: int, page: PageRequest) -> KeysetPage[OwnTransfer]:
    """Return a page of a user's payouts and refunds, newest first.

    Raises:
        CursorInvalid: the cursor was not given out for this list.
    """
    return page.of(_of(user_id), order=("-created_at", "-id")).map(_view)


def get_transfer(settlement_id: UUID, *, user_id: int) -> OwnTransfer:
    """Return one of a user's payouts and refunds.

    Raises:
        NoSuchSettlement: there is none, or it is somebody else's.
    """
    settlement = _of(user_id).filter(pk=settlement_id).first()
    if settlement is None:
        raise NoSuchSettlement
    return _view(settlement)


def _of(user_id: int) -> QuerySet[Settlement]:
    on_chain = TonTransaction.objects.filter(state__in=TonTransaction.SENT)
    mine = Settlement.objects.filter(payee_id=user_id, kind__in=_SHOWN)
    return mine.prefetch_related(Prefetch("chain_transactions", on_chain, to_attr="sent"))


def _view(settlement: Settlement) -> OwnTransfer:
    sent: list[TonTransaction] = settlement.sent  # type: ignore[attr-defined]  # prefetched
    return OwnTransfer(
        id=settlement.pk,
        deal_id=settlement.reference,
        kind=settlement.kind,
        state=settlement.state,
        amount_nano=settlement.amount_nano,
        sent_nano=sent[0].sent_nano if sent else None,
        waiting_for=waiting_for(settlement),
        tx_hash=sent[0].tx_hash if sent else "",
        created_at=settlement.created_at,
        confirmed_at=settlement.confirmed_at,
    )
