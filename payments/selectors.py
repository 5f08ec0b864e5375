"""What other apps may read of payments."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from accounts.services import mask_address
from advertmarket.ton_address import friendly_address

from .books.chart import PerDeal
from .books.ledger import balance
from .deposits import partials
from .models import CommissionTier, Deposit, Escrow, Settlement, TonTransaction, Wallet
from .sending import settlements
from .sending.pause import PauseState, pause_state
from .sending.waiting import Waiting, waiting_for
from .thresholds import FALLBACK_RATE_BP
from .ton.api import TonUnavailable
from .ton.client import hurried
from .wallets import TREASURY

__all__ = [
    "DepositInstructions",
    "EscrowView",
    "NetworkHead",
    "Outcome",
    "PauseState",
    "SettlementView",
    "TonUnavailable",
    "commission_rate",
    "deposit_in_review",
    "deposit_instructions",
    "escrow_view",
    "funded_references",
    "given_back_nano",
    "network_head",
    "pause_state",
    "payout_view",
    "refund_destination_given",
    "settled_references",
    "settlement_view",
    "transfers_of",
    "treasury_address",
]

PAYOUT = Settlement.Kind.PAYOUT.value


class Outcome(StrEnum):
    """For whom an escrow was decided."""

    RELEASED = "RELEASED"
    REFUNDED = "REFUNDED"
    SPLIT = "SPLIT"


@dataclass(frozen=True)
class DepositInstructions:
    """What the advertiser needs to pay; amounts in nanoTON, the address non-bounceable.

    `missing_nano` is what still has to come, and what the link asks for: nothing, once it is paid.
    """

    address: str
    link: str
    price_nano: int
    received_nano: int
    missing_nano: int
    state: str
    deadline_at: dt.datetime


@dataclass(frozen=True)
class EscrowView:
    """An escrow as a party sees it; amounts in nanoTON."""

    state: str
    address: str
    price_nano: int
    funded_nano: int | None
    funded_at: dt.datetime | None
    ended_at: dt.datetime | None
    balances: dict[str, int]


@dataclass(frozen=True)
class NetworkHead:
    """The last masterchain block that TON Center tells of; `network` is empty if it is not told."""

    seqno: int
    at: dt.datetime
    network: str


@dataclass(frozen=True)
class SettlementView:
    """An owed transfer; amounts in nanoTON. `waiting_for` is for operators, `waits_for` for all.

    `recipient` is the masked address that it went to, or goes to where that is not the payee's own
    choice; empty otherwise.
    """

    id: UUID
    kind: str
    state: str
    amount_nano: int
    waiting_for: str
    waits_for: Waiting
    due_at: dt.datetime
    attempts: int
    recipient: str
    tx_hash: str
    confirmed_at: dt.datetime | None


def network_head() -> NetworkHead:
    """Ask TON Center for the last block, once and for less than 2 s.

    Raises:
        TonUnavailable: it gives no answer.
    """
    head = hurried().head()
    return NetworkHead(head.seqno, head.gen_utime, head.network)


def treasury_address() -> str:
    """Return the raw address of the treasury, as it is stored; empty if it is not made yet."""
    return Wallet.objects.filter(subwallet=TREASURY).values_list("address", flat=True).first() or ""


def commission_rate(*, price_nano: int) -> int:
    """Return the commission of a price, in basis points."""
    tier = (
        CommissionTier.objects.filter(min_nano__lte=price_nano)
        .filter(Q(max_nano=None) | Q(max_nano__gt=price_nano))
        .order_by("-min_nano")
        .first()
    )
    return tier.rate_bp if tier else FALLBACK_RATE_BP


def refund_destination_given(reference: UUID) -> bool:
    """Return whether the advertiser said where a refund would go."""
    return Escrow.objects.filter(reference=reference, refund_user_id__isnull=False).exists()


def given_back_nano(reference: UUID) -> int:
    """Return what a deal's end gives back of what came for it; in nanoTON."""
    escrow = Escrow.objects.filter(reference=reference).first()
    return partials.given_back_nano(escrow) if escrow else 0


def deposit_instructions(reference: UUID) -> DepositInstructions | None:
    """Return how to pay for a deal, once it has an escrow."""
    escrow = Escrow.objects.select_related("wallet").filter(reference=reference).first()
    if escrow is None:
        return None
    address = friendly_address(escrow.wallet.address, network=settings.TON_NETWORK)
    received = partials.received_nano(escrow)
    missing = max(0, escrow.price_nano - received)
    return DepositInstructions(
        address=address,
        link=f"ton://transfer/{address}?{urlencode({'amount': missing})}",
        price_nano=escrow.price_nano,
        received_nano=received,
        missing_nano=missing,
        state=_deposit_state(escrow),
        deadline_at=escrow.payment_deadline_at,
    )


def escrow_view(reference: UUID) -> EscrowView | None:
    """Return the escrow of a deal and the balances of its accounts."""
    escrow = Escrow.objects.select_related("wallet").filter(reference=reference).first()
    if escrow is None:
        return None
    return EscrowView(
        state=escrow.state,
        address=friendly_address(escrow.wallet.address, network=settings.TON_NETWORK),
        price_nano=escrow.price_nano,
        funded_nano=escrow.funded_nano,
        funded_at=escrow.funded_at,
        ended_at=escrow.ended_at,
        balances={kind.value: balance(kind.of(reference)) for kind in PerDeal},
    )


def payout_view(reference: UUID) -> SettlementView | None:
    """Return the payout owed for a deal, once there is one."""
    payouts = _with_attempts().filter(reference=reference, kind=PAYOUT)
    settlement = payouts.order_by("created_at").last()
    return _view(settlement) if settlement else None


def transfers_of(reference: UUID) -> list[SettlementView]:
    """Return all that is or was owed for a deal, oldest first, by two queries."""
    owed = _with_attempts().filter(reference=reference)
    return [_view(settlement) for settlement in owed.order_by("created_at", "pk")]


def settlement_view(settlement_id: UUID) -> SettlementView:
    """Return what is or was owed under an id.

    Raises:
        NoSuchSettlement: nothing.
    """
    settlement = _with_attempts().filter(pk=settlement_id).first()
    if settlement is None:
        raise settlements.NoSuchSettlement
    return _view(settlement)


def deposit_in_review(*, deposit_id: int, reference: UUID) -> bool:
    """Return whether this deposit came for this deal and waits for an operator."""
    return Deposit.objects.filter(
        pk=deposit_id, escrow_id=reference, state=Deposit.State.REVIEW
    ).exists()


def funded_references(references: Iterable[UUID]) -> set[UUID]:
    """Return those of `references` whose escrow holds their money."""
    funded = Escrow.objects.filter(reference__in=list(references), state=Escrow.State.FUNDED)
    return set(funded.values_list("reference", flat=True))


def settled_references(references: Iterable[UUID]) -> dict[UUID, Outcome]:
    """Return how those of `references` ended whose every owed share is on chain."""
    decided = Escrow.objects.filter(reference__in=list(references), state__in=Escrow.DECIDED)
    owed = Settlement.objects.filter(
        reference=OuterRef("reference"), kind__in=settlements.DECISIONS
    )
    found = decided.exclude(Exists(owed.open())).values_list("reference", "state")
    return {reference: Outcome(state) for reference, state in found}


def _with_attempts() -> QuerySet[Settlement]:
    attempts = TonTransaction.objects.defer("boc").order_by("pk")
    return Settlement.objects.prefetch_related(Prefetch("chain_transactions", attempts))


def _view(settlement: Settlement) -> SettlementView:
    attempts = settlement.chain_transactions.all()
    sent = next((one for one in attempts if one.state in TonTransaction.SENT), None)
    last = sent or next((one for one in attempts if one.state in TonTransaction.LIVE), None)
    recipient = last.destination if last else settlement.destination
    return SettlementView(
        id=settlement.pk,
        kind=settlement.kind,
        state=settlement.state,
        amount_nano=settlement.amount_nano,
        waiting_for=settlement.waiting_for,
        waits_for=waiting_for(settlement),
        due_at=settlement.due_at,
        attempts=settlement.attempts,
        recipient=mask_address(recipient) if recipient else "",
        tx_hash=sent.tx_hash if sent else "",
        confirmed_at=settlement.confirmed_at,
    )


def _deposit_state(escrow: Escrow) -> str:
    if escrow.state != Escrow.State.AWAITING:
        return escrow.state
    latest = escrow.deposits.order_by("pk").last()
    return latest.state if latest else escrow.state
