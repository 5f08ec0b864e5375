"""A process dies while it applies the rule of a deposit, or decides whose the money is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import UUID

from django.utils import timezone

from payments.chain import reader
from payments.deposits import partials
from payments.models import ChainCursor, Escrow
from tests.payments import reviews
from tests.payments.bank import PRICE_NANO

from .life import CLEAN, TON, Life, Scenario, apply_the_rule, nothing, pay_out, scenario
from .sending import sends

# --- the rule of a deposit ------------------------------------------------------------------------


@scenario("apply_deposits", go_on=pay_out)
def funds_the_deal(life: Life) -> UUID:
    reference = life.bank.open_escrow()
    life.bank.pay(reference)
    return reference


def deposit_of(*amounts_nano: int, price_nano: int = PRICE_NANO) -> Callable[[Life], UUID]:
    def prepare(life: Life) -> UUID:
        reference = life.bank.refundable_escrow(price_nano)
        for nano in amounts_nano:
            life.bank.apply_deposits()
            life.bank.pay(reference, nano)
            for _ in range(4):
                life.bank.read()
        return reference

    return prepare


for _name, _deposit, _given_back in (
    ("waits_for_the_rest", deposit_of(PRICE_NANO // 2), ()),
    ("takes_the_rest", deposit_of(60 * TON, 50 * TON), (10 * TON,)),
    ("gives_the_excess_back", deposit_of(PRICE_NANO + 2 * TON), (2 * TON,)),
    ("holds_a_large_excess", deposit_of(PRICE_NANO * 2), ()),
    ("writes_a_small_excess_off", deposit_of(PRICE_NANO + 5), ()),
    ("is_funded_already", deposit_of(PRICE_NANO, 3 * TON), (3 * TON,)),
    ("asks_about_a_large_sum", deposit_of(2_000 * TON, price_nano=2_000 * TON), ()),
):
    CLEAN.append(Scenario(_name, "apply_deposits", _deposit, apply_the_rule, (), _given_back))


@scenario("apply_deposits", go_on=apply_the_rule)
def writes_late_dust_off(life: Life) -> UUID:
    reference = sends(life)
    life.bank.settle()
    life.bank.pay(reference, 5)
    life.bank.read()
    life.bank.read()
    return reference


@scenario("apply_deposits", go_on=apply_the_rule, given_back=(3 * TON,))
def gives_a_late_one_back(life: Life) -> UUID:
    reference = sends(life)
    life.bank.settle()
    life.bank.pay(reference, 3 * TON)
    life.bank.read()
    life.bank.read()
    return reference


@scenario("apply_deposits", go_on=pay_out)
def was_in_time_for_a_deal_that_expired(life: Life) -> UUID:
    """Nobody had seen it: see test_late_deposits."""
    reference = life.bank.refundable_escrow()
    life.bank.pay(reference)
    Escrow.objects.filter(reference=reference).update(state="EXPIRED", ended_at=timezone.now())
    return reference


@scenario("hear_of_deposits", go_on=apply_the_rule, owner_receives=())
def hears_of_one_that_still_confirms(life: Life) -> UUID:
    reference = life.bank.open_escrow(500 * TON)
    life.bank.chain.faucet(life.bank.wallet(reference).address, 500 * TON)
    reader.read_new_blocks(life.bank.client, at_most=1)
    return reference


def place_the_cursor(life: Life, _reference: UUID) -> None:
    life.bank.read()
    apply_the_rule(life, _reference)


@scenario("apply_deposits", go_on=place_the_cursor, owner_receives=())
def has_no_cursor(life: Life) -> UUID:
    reference = deposit_of(1)(life)
    ChainCursor.objects.all().delete()
    return reference


@scenario("remind", owner_receives=())
def reminds_of_a_large_sum(life: Life) -> UUID:
    reference = deposit_of(2_000 * TON, price_nano=2_000 * TON)(life)
    life.bank.apply_deposits()
    life.pass_time(2 * 3600 + 60)
    life.bank.read()
    return reference


# --- a part of the price --------------------------------------------------------------------------


def return_it(life: Life, _reference: UUID) -> None:
    life.bank.return_stale_partials()


def stale(nano: int) -> Callable[[Life], UUID]:
    def prepare(life: Life) -> UUID:
        reference = deposit_of(nano)(life)
        life.bank.apply_deposits()
        since_at = timezone.now() - partials.PARTIAL_FOR
        Escrow.objects.filter(reference=reference).update(partial_since_at=since_at)
        return reference

    return prepare


for _name, _nano, _given_back in (
    ("gives_a_part_back", 60 * TON, (60 * TON,)),
    ("writes_a_part_off", 5, ()),
):
    CLEAN.append(Scenario(_name, "return_stale_partials", stale(_nano), return_it, (), _given_back))


def return_both(life: Life, reference: UUID) -> None:
    return_it(life, reference)
    life.bank.settle(turns=5)
    return_it(life, reference)


@scenario(
    "return_stale_partials",
    go_on=return_both,
    owner_receives=(),
    given_back=(30 * TON, 60 * TON),
)
def gives_a_part_back_after_another(life: Life) -> UUID:
    reference = stale(60 * TON)(life)
    life.bank.return_stale_partials()
    life.bank.deposit(reference, 30 * TON)
    life.bank.close(reference)
    return reference


@scenario("return_stale_partials", go_on=pay_out)
def keeps_a_part_whose_rest_has_come(life: Life) -> UUID:
    reference = stale(60 * TON)(life)
    life.bank.pay(reference, 40 * TON)
    life.bank.read()
    life.bank.read()
    return reference


# --- decisions ------------------------------------------------------------------------------------


@scenario("open", go_on=nothing, owner_receives=())
def opens_the_next_deal(life: Life) -> UUID:
    return life.bank.open_escrow()


def release(life: Life, reference: UUID) -> None:
    life.bank.release(reference)


@scenario("release", go_on=release)
def owes_the_owner(life: Life) -> UUID:
    life.bank.set_payout_address()
    return life.bank.funded_escrow()


@scenario("release")
def owes_the_owner_already(life: Life) -> UUID:
    return life.bank.payout_due()


def refund(life: Life, reference: UUID) -> None:
    life.bank.refund(reference)


@scenario("refund", go_on=refund, owner_receives=(), given_back=(PRICE_NANO,))
def owes_the_advertiser(life: Life) -> UUID:
    return life.bank.funded_escrow()


def split(life: Life, reference: UUID) -> None:
    life.bank.split(reference)


@scenario("split", go_on=split, owner_receives=(45 * TON,), given_back=(50 * TON,))
def owes_both(life: Life) -> UUID:
    life.bank.set_payout_address()
    return life.bank.funded_escrow()


def close(life: Life, reference: UUID) -> None:
    life.bank.close(reference)


@scenario("close", go_on=close, owner_receives=(), given_back=(60 * TON,))
def ends_unpaid(life: Life) -> UUID:
    reference = life.bank.refundable_escrow()
    life.bank.deposit(reference, 60 * TON)
    return reference


@scenario("close", go_on=close, owner_receives=())
def ends_without_a_deposit(life: Life) -> UUID:
    return life.bank.refundable_escrow()


@scenario("close", owner_receives=(), given_back=(60 * TON,))
def has_ended_unpaid_already(life: Life) -> UUID:
    reference = ends_unpaid(life)
    life.bank.close(reference)
    return reference


def read_and_close(life: Life, reference: UUID) -> None:
    life.bank.read()
    life.bank.close(reference)


@scenario("close", go_on=read_and_close, owner_receives=(), given_back=(60 * TON,))
def ends_before_the_chain_is_read(life: Life) -> UUID:
    reference = ends_unpaid(life)
    deadline_at = ChainCursor.objects.get().block_at + dt.timedelta(seconds=20)
    Escrow.objects.filter(reference=reference).update(payment_deadline_at=deadline_at)
    life.pass_time(25)
    return reference


@scenario("close", go_on=pay_out)
def cannot_end_since_it_is_paid(life: Life) -> UUID:
    return life.bank.funded_escrow()


# --- an operator's no -----------------------------------------------------------------------------


LARGE_NANO = 2_000 * TON


def reject_again(_life: Life, _reference: UUID) -> None:
    reviews.reject()


@scenario("reject", go_on=reject_again, owner_receives=(), given_back=(LARGE_NANO,))
def gives_a_large_sum_back(life: Life) -> UUID:
    reference = deposit_of(LARGE_NANO, price_nano=LARGE_NANO)(life)
    life.bank.apply_deposits()
    return reference


@scenario("reject", go_on=reject_again, owner_receives=(), given_back=(LARGE_NANO,))
def gives_back_what_came_in_time_for_an_expired_deal(life: Life) -> UUID:
    reference = life.bank.refundable_escrow(LARGE_NANO)
    escrow = Escrow.objects.filter(reference=reference)
    deadline_at = escrow.get().payment_deadline_at
    escrow.update(payment_deadline_at=ChainCursor.objects.get().block_at)
    life.bank.close(reference, expired=True)
    escrow.update(payment_deadline_at=deadline_at)
    life.bank.deposit(reference, LARGE_NANO)
    return reference


# --- where refunds go -----------------------------------------------------------------------------


def give_refund_address(life: Life, reference: UUID) -> None:
    life.bank.set_refund_address(reference)
    life.bank.deposit(reference, 60 * TON)
    life.bank.close(reference)


@scenario(
    "give_refund_address", go_on=give_refund_address, owner_receives=(), given_back=(60 * TON,)
)
def learns_the_refund_address(life: Life) -> UUID:
    life.bank.set_payout_address()
    return life.bank.open_escrow()


@scenario("give_refund_address", go_on=pay_out)
def learns_the_refund_address_after_it_was_paid(life: Life) -> UUID:
    return life.bank.funded_escrow()
