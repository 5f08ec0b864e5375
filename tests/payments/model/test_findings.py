"""What the model found, while it was written or at random: each as a test of its own."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.messaging.models import OutboxMessage
from payments import services
from payments.books import ledger
from payments.books.chart import DUST_WRITEOFF, PerDeal
from payments.deposits import partials
from payments.models import CommissionTier, Escrow, Journal, Settlement
from payments.operations.books import AJournal, NotReversible, reverse
from payments.operations.registry import Payload
from payments.operations.settlements import AStuckSettlement, cancel_into_refund, write_off
from payments.operations.tiers import Tier, Tiers, set_tiers
from payments.sending.executor import Executor
from payments.ton.schema import WalletState
from tests.payments.bank import ACTOR, OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.lines import before, line_of
from tests.payments.threads import elsewhere

DUST_NANO = 5_000_000


def do(operation: Any, payload: Payload, evidence: Any = None) -> None:
    """What an operator asks for, is done."""
    with transaction.atomic():
        operation(payload, evidence=evidence, reason="test", actor=ACTOR, at=timezone.now())


def seen(bank: Bank, reference: UUID) -> WalletState:
    """What the chain shows of the deal's wallet."""
    return bank.client.wallet_state(bank.wallet(reference).address)


def of(settlement: Settlement) -> AStuckSettlement:
    settlement.refresh_from_db()
    return AStuckSettlement(
        settlement_id=settlement.pk,
        nano=settlement.amount_nano,
        waiting_for=settlement.waiting_for,
    )


def last_write_off() -> AJournal:
    journal = Journal.objects.filter(kind=Journal.Kind.DUST_WRITEOFF).latest("posted_at")
    return AJournal(tx_ref=journal.pk)


@pytest.mark.django_db
def test_the_last_tier_can_be_removed() -> None:
    """`zip(strict=True)` of no tiers and one end raised ValueError."""
    for tiers in ([Tier(min_nano=0, rate_bp=500)], []):
        do(set_tiers, Tiers(tiers=tiers))

    assert CommissionTier.objects.count() == 0


def test_a_write_off_is_not_reversed_beside_another_refund(bank: Bank) -> None:
    """IntegrityError, where an operator should read what is in the way."""
    reference = bank.funded_escrow()
    with transaction.atomic():
        services.split_escrow(
            reference=reference,
            owner_id=bank.owner_id,
            owner_gross_nano=PRICE_NANO // 2,
            commission_rate_bp=1_000,
            actor=ACTOR,
            at=timezone.now(),
        )
    of_deal = Settlement.objects.filter(reference=reference)
    do(write_off, of(of_deal.get(kind=Settlement.Kind.REFUND)), seen(bank, reference))
    do(cancel_into_refund, of(of_deal.get(kind=Settlement.Kind.PAYOUT)), seen(bank, reference))

    with pytest.raises(NotReversible):
        do(reverse, last_write_off())

    assert ledger.balance(PerDeal.REFUND_PENDING.of(reference)) == PRICE_NANO // 2
    assert ledger.balance(DUST_WRITEOFF) == PRICE_NANO // 2


def test_dust_that_is_found_twice_is_written_off_twice(bank: Bank) -> None:
    """Both had the key of the deposit that came last, decided or not."""
    reference = bank.open_escrow()
    bank.pay(reference, DUST_NANO)
    bank.apply_deposits()
    bank.pay(reference, DUST_NANO + 1)

    return_stale_partial(bank.escrow(reference))
    bank.apply_deposits()
    return_stale_partial(bank.escrow(reference))

    assert ledger.balance(PerDeal.PARTIAL_DEPOSIT.of(reference)) == 0
    assert ledger.balance(DUST_WRITEOFF) == 2 * DUST_NANO + 1


def return_stale_partial(escrow: Escrow) -> None:
    """As if its day were over."""
    at = timezone.now() + dt.timedelta(days=2)
    with transaction.atomic():
        partials.return_stale_partial(escrow=escrow, at=at)


def test_a_node_that_has_not_seen_the_deposit_calls_no_operator(bank: Bank) -> None:
    """The payout was given up: "the wallet lacks more than a fee"."""
    reference = bank.payout_due()
    bank.chain.fault("walletInformation", "lagging", blocks=1_000)

    bank.execute()

    assert bank.settlement(reference).state == Settlement.State.QUEUED
    assert not OutboxMessage.objects.filter(event_type="SETTLEMENT_STUCK").exists()
    bank.settle()
    assert bank.owner_has() == OWNER_SHARE_NANO


def test_a_payout_that_was_cancelled_meanwhile_is_not_asked_for(bank: Bank) -> None:
    """What was to be told was told of a cancelled payout; giving up would have revived it."""
    reference = bank.funded_escrow()
    bank.release(reference)
    payout = bank.settlement(reference)

    def cancel() -> None:
        elsewhere(lambda: do(cancel_into_refund, of(payout), seen(bank, reference)))

    with before(line_of(Executor._wait, "with transaction.atomic()"), cancel):
        bank.execute()

    payout.refresh_from_db()
    assert payout.state == Settlement.State.CANCELLED
    assert payout.unclaimed_since_at is None
    assert not OutboxMessage.objects.filter(event_type="PAYOUT_UNCLAIMED").exists()


def test_a_release_that_operators_undid_is_no_refund_of_the_escrow(bank: Bank) -> None:
    """InsufficientFunds: the escrow was REFUNDED, and had nothing to refund."""
    reference = bank.funded_escrow()
    bank.release(reference)
    do(cancel_into_refund, of(bank.settlement(reference)), seen(bank, reference))

    with pytest.raises(services.EscrowNotFunded), transaction.atomic():
        services.refund_escrow(reference=reference, actor=ACTOR, at=timezone.now())

    assert ledger.balance(PerDeal.REFUND_PENDING.of(reference)) == PRICE_NANO
