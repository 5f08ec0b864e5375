"""The price, once it is confirmed, funds the deal: once. For other amounts see the files beside."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import transaction
from django.utils import timezone

from advertmarket.messaging.models import OutboxMessage
from payments import selectors, services
from payments.chain import reader
from payments.deposits import rule
from payments.models import ChainCursor, Deposit, Escrow, Journal
from tests.payments.bank import ACTOR, PRICE_NANO, Bank

TON = 1_000_000_000
TOLERANCE_NANO = 1_000_000


def paid(bank: Bank, nano: int, *, price_nano: int = PRICE_NANO) -> UUID:
    """An escrow that received `nano`, with the rule applied."""
    reference = bank.open_escrow(price_nano)
    bank.deposit(reference, nano)
    return reference


def pay_and_read_its_block(bank: Bank, reference: UUID, nano: int) -> None:
    bank.chain.faucet(bank.wallet(reference).address, nano)
    reader.read_new_blocks(bank.client, at_most=1)


def events(kind: str) -> int:
    return OutboxMessage.objects.filter(event_type=kind).count()


# --- the amount -----------------------------------------------------------------------------------


@pytest.mark.parametrize("short_nano", [0, 1, TOLERANCE_NANO])
def test_the_price_or_a_thousandth_of_a_ton_less_funds_the_deal(
    bank: Bank, short_nano: int
) -> None:
    reference = paid(bank, PRICE_NANO - short_nano)

    escrow = bank.escrow(reference)
    assert (escrow.state, escrow.funded_nano) == ("FUNDED", PRICE_NANO - short_nano)
    assert bank.holds(reference) == {"ESCROW": PRICE_NANO - short_nano}
    assert Deposit.objects.get().rule == "funds the deal"
    assert (events("DEPOSIT_SEEN"), events("DEPOSIT_CONFIRMED")) == (1, 1)


@pytest.mark.parametrize(
    ("price_nano", "short_nano", "state"),
    [
        (100_000_000, 100_000, "FUNDED"),
        (100_000_000, 100_001, "AWAITING"),
        (1_000_000, 1_000, "FUNDED"),
        (1_000_000, 1_001, "AWAITING"),
        (999, 0, "FUNDED"),
        (999, 1, "AWAITING"),
    ],
)
def test_of_a_small_price_a_thousandth_may_be_missing(
    bank: Bank, price_nano: int, short_nano: int, state: str
) -> None:
    reference = paid(bank, price_nano - short_nano, price_nano=price_nano)

    assert bank.escrow(reference).state == state


def test_two_payments_of_the_price_in_one_block_fund_once(bank: Bank) -> None:
    reference = bank.open_escrow()
    bank.pay_at_once([(bank.wallet(reference).address, PRICE_NANO)] * 2)
    bank.read()
    bank.read()

    bank.apply_deposits()

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO, "OVERPAYMENT": PRICE_NANO}
    assert events("DEPOSIT_CONFIRMED") == 1


# --- confirmations --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price_nano", "blocks"),
    [(1, 1), (100 * TON, 1), (100 * TON + 1, 3), (1_000 * TON, 3)],
)
def test_the_sum_decides_how_many_blocks_confirm(bank: Bank, price_nano: int, blocks: int) -> None:
    """The block that holds the payment is the first."""
    reference = bank.open_escrow(price_nano)
    pay_and_read_its_block(bank, reference, price_nano)
    for _ in range(blocks - 1):
        bank.apply_deposits()
        assert bank.escrow(reference).state == Escrow.State.AWAITING
        assert bank.holds(reference) == {"DEPOSIT_PENDING": price_nano}
        bank.read()

    bank.apply_deposits()

    assert bank.escrow(reference).state == Escrow.State.FUNDED
    assert bank.holds(reference) == {"ESCROW": price_nano}


def test_above_a_thousand_five_blocks_and_an_operator_decide(bank: Bank) -> None:
    price_nano = 1_000 * TON + 1
    reference = bank.open_escrow(price_nano)
    pay_and_read_its_block(bank, reference, price_nano)
    for _ in range(4):
        bank.apply_deposits()
        assert Deposit.objects.get().state == Deposit.State.CONFIRMING
        bank.read()

    bank.apply_deposits()

    deposit = Deposit.objects.get()
    assert (deposit.state, deposit.rule) == ("REVIEW", "a sum that an operator approves")
    assert bank.escrow(reference).state == Escrow.State.AWAITING
    assert bank.holds(reference) == {"DEPOSIT_PENDING": price_nano}


def test_earlier_deposits_of_the_deal_count_towards_the_sum(bank: Bank) -> None:
    reference = paid(bank, 60 * TON)

    pay_and_read_its_block(bank, reference, 60 * TON)

    first, second = Deposit.objects.order_by("pk")
    assert first.confirmed_at_seqno == first.chain_transaction.mc_seqno
    assert second.chain_transaction.mc_seqno is not None
    assert second.confirmed_at_seqno == second.chain_transaction.mc_seqno + 2


# --- once -----------------------------------------------------------------------------------------


def test_the_rule_applied_again_changes_nothing(bank: Bank) -> None:
    reference = paid(bank, PRICE_NANO)
    [deposit] = Deposit.objects.all()

    for _ in range(2):
        with transaction.atomic():
            rule.apply_rule(deposit_id=deposit.pk, at=timezone.now())

    assert bank.holds(reference) == {"ESCROW": PRICE_NANO}
    assert Journal.objects.filter(kind=Journal.Kind.ALLOCATED).count() == 1
    assert Deposit.objects.get().decided_at == deposit.decided_at


def test_an_event_that_comes_before_the_confirmations_changes_nothing(bank: Bank) -> None:
    reference = bank.open_escrow(500 * TON)
    pay_and_read_its_block(bank, reference, 500 * TON)

    with transaction.atomic():
        rule.apply_rule(deposit_id=Deposit.objects.get().pk, at=timezone.now())

    assert Deposit.objects.get().state == Deposit.State.CONFIRMING


def test_a_deposit_that_is_not_there_is_passed_over(bank: Bank) -> None:
    with transaction.atomic():
        rule.apply_rule(deposit_id=987_654, at=timezone.now())

    assert not Deposit.objects.exists()


def test_before_the_first_block_nothing_is_ready(bank: Bank) -> None:
    paid(bank, PRICE_NANO)
    ChainCursor.objects.all().delete()

    assert rule.ready_deposits() == []


# --- what the parties see -------------------------------------------------------------------------


def test_the_advertiser_sees_what_has_arrived(bank: Bank) -> None:
    reference = bank.open_escrow(500 * TON)
    states = [_seen(reference)]
    pay_and_read_its_block(bank, reference, 500 * TON)
    states.append(_seen(reference))
    bank.read()
    bank.read()
    bank.apply_deposits()
    states.append(_seen(reference))

    assert states == [("AWAITING", 0), ("CONFIRMING", 500 * TON), ("FUNDED", 500 * TON)]


def _seen(reference: UUID) -> tuple[str, int]:
    instructions = selectors.deposit_instructions(reference)
    assert instructions is not None
    return instructions.state, instructions.received_nano


def test_an_escrow_with_a_payment_under_way_cannot_be_closed(bank: Bank) -> None:
    reference = bank.open_escrow(500 * TON)
    pay_and_read_its_block(bank, reference, 500 * TON)

    with pytest.raises(services.EscrowNotEmpty), transaction.atomic():
        services.close_escrow(reference=reference, actor=ACTOR, at=timezone.now())

    assert bank.escrow(reference).state == Escrow.State.AWAITING
