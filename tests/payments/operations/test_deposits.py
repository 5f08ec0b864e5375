"""Large deposits that wait for an operator's word."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.audit.models import AuditEntry
from advertmarket.messaging.models import OutboxMessage
from payments import services
from payments.books import ledger
from payments.books.chart import PerDeal
from payments.deposits.review import NotInReview
from payments.models import ChainCursor, Deposit, Escrow, OperatorRequest, Settlement
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import ACTOR, Bank
from tests.payments.operations.desk import Desk, nothing_changes

pytestmark = pytest.mark.thorough

TON = 1_000_000_000
PRICE_NANO = 2_000 * TON
ASKED = (OperatorRequest, AuditEntry)


def in_review(bank: Bank, reference: UUID, nano: int = PRICE_NANO) -> Deposit:
    """A payment of more than one operator may approve alone, with its confirmations."""
    bank.chain.faucet(bank.wallet(reference).address, nano)
    bank.chain.mine(5)
    bank.read()
    bank.apply_deposits()
    deposit = Deposit.objects.filter(escrow_id=reference).latest("pk")
    assert deposit.state == Deposit.State.REVIEW
    return deposit


def about(deposit: Deposit) -> dict[str, Any]:
    return {"deposit_id": deposit.pk, "nano": deposit.amount_nano}


def events(kind: str) -> int:
    return OutboxMessage.objects.filter(event_type=kind).count()


def test_an_approved_deposit_funds_its_deal(desk: Desk, bank: Bank) -> None:
    reference = bank.open_escrow(PRICE_NANO)
    deposit = in_review(bank, reference)

    request = desk.do("deposit.approve", **about(deposit))

    assert request.needs_second
    assert bank.escrow(reference).state == Escrow.State.FUNDED
    assert ledger.balance(PerDeal.ESCROW.of(reference)) == PRICE_NANO
    assert ledger.balance(PerDeal.DEPOSIT_PENDING.of(reference)) == 0
    assert events("DEPOSIT_CONFIRMED") == 1


@pytest.mark.parametrize("name", ["deposit.approve", "deposit.reject"])
def test_the_last_part_of_a_large_price_is_no_small_matter(
    desk: Desk, bank: Bank, name: str
) -> None:
    """It decides about the whole price, which one operator may not do alone."""
    reference = bank.refundable_escrow(1_050 * TON)
    bank.deposit(reference, 1_000 * TON)
    deposit = in_review(bank, reference, 50 * TON)

    request = desk.ask(name, **about(deposit))

    assert (request.needs_second, request.amount_nano) == (True, 1_050 * TON)
    assert bank.escrow(reference).state == Escrow.State.AWAITING
    assert bank.holds(reference)["DEPOSIT_PENDING"] == 50 * TON
    assert desk.approve(request).state == OperatorRequest.State.DONE


def test_what_came_above_a_large_price_is_judged_by_itself(desk: Desk, bank: Bank) -> None:
    reference = bank.refundable_escrow(1_000 * TON)
    bank.deposit(reference, 1_000 * TON)
    deposit = in_review(bank, reference, 50 * TON)

    request = desk.ask("deposit.approve", **about(deposit))

    assert (request.needs_second, request.amount_nano) == (False, 50 * TON)
    assert bank.holds(reference) == {"ESCROW": 1_000 * TON, "OVERPAYMENT": 50 * TON}


def test_a_rejected_deposit_goes_back_and_the_deal_is_over(desk: Desk, bank: Bank) -> None:
    advertiser = PersonsWallet(f"advertiser {uuid4()}")
    reference = bank.open_escrow(PRICE_NANO)
    desk.give_refund_address(reference, advertiser.raw_address)
    bank.pay(reference, 5 * TON)
    bank.apply_deposits()
    deposit = in_review(bank, reference)

    desk.do("deposit.reject", **about(deposit))
    bank.settle(turns=10)

    assert bank.escrow(reference).state == Escrow.State.CLOSED
    assert events("DEPOSIT_REJECTED") == 1
    sent = {one.kind: one.chain_transactions.get() for one in Settlement.objects.all()}
    assert {kind: one.sent_nano + one.withheld_nano for kind, one in sent.items()} == {
        "REFUND": PRICE_NANO,
        "PARTIAL_DEPOSIT_REFUND": 5 * TON,
    }
    arrived = bank.chain.transactions(advertiser.raw_address)
    assert sorted(int(one["in_msg"]["value"]) for one in arrived) == sorted(
        one.sent_nano for one in sent.values()
    )
    for kind in PerDeal:
        assert ledger.balance(kind.of(reference)) == 0


def test_a_deposit_for_a_rejected_deal_goes_back_by_itself(desk: Desk, bank: Bank) -> None:
    reference = bank.open_escrow(PRICE_NANO)
    desk.do("deposit.reject", **about(in_review(bank, reference)))
    second = in_review(bank, reference)

    with nothing_changes(but=ASKED), pytest.raises(NotInReview):
        desk.do("deposit.reject", **about(second))
    desk.do("deposit.approve", **about(second))

    late = Settlement.objects.get(kind="LATE_DEPOSIT_REFUND")
    assert (late.amount_nano, late.deposit) == (PRICE_NANO, second)


def expired_before_it_was_read(bank: Bank) -> tuple[UUID, Deposit]:
    """A deal that expired although it was paid in time, as after blocks that were shown late."""
    reference = bank.open_escrow(PRICE_NANO)
    now = timezone.now()
    Escrow.objects.update(payment_deadline_at=ChainCursor.objects.get().block_at)
    with transaction.atomic():
        services.close_escrow(reference=reference, expired=True, actor=ACTOR, at=now)
    Escrow.objects.update(payment_deadline_at=now + dt.timedelta(days=1))
    return reference, in_review(bank, reference)


def test_a_rejected_deposit_in_time_for_an_expired_deal_is_late(desk: Desk, bank: Bank) -> None:
    reference, deposit = expired_before_it_was_read(bank)

    desk.do("deposit.reject", **about(deposit))

    assert bank.escrow(reference).state == Escrow.State.CLOSED
    assert Settlement.objects.get().kind == "LATE_DEPOSIT_REFUND"
    assert ledger.balance(PerDeal.LATE_DEPOSIT.of(reference)) == PRICE_NANO
    assert events("DEPOSIT_CONFIRMED") == 0


def test_an_approved_deposit_in_time_for_an_expired_deal_funds_it(desk: Desk, bank: Bank) -> None:
    reference, deposit = expired_before_it_was_read(bank)

    desk.do("deposit.approve", **about(deposit))

    assert bank.escrow(reference).state == Escrow.State.FUNDED


@pytest.mark.parametrize("name", ["deposit.approve", "deposit.reject"])
def test_a_deposit_is_decided_once(desk: Desk, bank: Bank, name: str) -> None:
    deposit = in_review(bank, bank.open_escrow(PRICE_NANO))
    desk.do("deposit.approve", **about(deposit))

    with nothing_changes(but=ASKED), pytest.raises(NotInReview):
        desk.do(name, **about(deposit))


@pytest.mark.parametrize("name", ["deposit.approve", "deposit.reject"])
def test_another_amount_or_deposit_than_the_operator_saw_is_refused(
    desk: Desk, bank: Bank, name: str
) -> None:
    deposit = in_review(bank, bank.open_escrow(PRICE_NANO))

    for wrong in ({"nano": deposit.amount_nano - 1}, {"deposit_id": deposit.pk + 1}):
        with nothing_changes(but=ASKED), pytest.raises(NotInReview):
            desk.do(name, **{**about(deposit), **wrong})


def test_a_deposit_that_still_confirms_is_not_decided(desk: Desk, bank: Bank) -> None:
    reference = bank.open_escrow(PRICE_NANO)
    bank.pay(reference, PRICE_NANO)
    deposit = Deposit.objects.get()
    assert deposit.confirmed_at_seqno > ChainCursor.objects.get().head_seqno

    for name in ("deposit.approve", "deposit.reject"):
        with nothing_changes(but=ASKED), pytest.raises(NotInReview):
            desk.do(name, **about(deposit))
