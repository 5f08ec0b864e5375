"""A process dies while it moves the platform's own money, or tells what it waits for."""

from __future__ import annotations

from uuid import UUID

from payments.models import Settlement
from tests.payments.bank import PRICE_NANO
from tests.payments.contracts import deploy_refuser
from tests.payments.owing import payout_without_gas

from .life import Kind, Life, make_due, queue_again, scenario
from .sending import sends

# --- gas ------------------------------------------------------------------------------------------


@scenario("execute", owner_receives=())
def finds_the_treasury_empty(life: Life) -> UUID:
    reference = payout_without_gas(life.bank)
    life.bank.execute()
    make_due()
    return reference


@scenario("execute", owner_receives=())
def finds_too_little_for_the_fee_in_the_treasury(life: Life) -> UUID:
    life.bank.fund_treasury(10_500_000)
    reference = payout_without_gas(life.bank)
    life.bank.execute()
    make_due()
    return reference


@scenario("execute", owner_receives=(PRICE_NANO,))
def asks_for_gas(life: Life) -> UUID:
    life.bank.fund_treasury()
    return payout_without_gas(life.bank)


@scenario("execute", owner_receives=(PRICE_NANO,))
def sends_gas(life: Life) -> UUID:
    reference = asks_for_gas(life)
    life.bank.execute()
    make_due()
    return reference


@scenario("read", owner_receives=(PRICE_NANO,))
def books_gas_that_left(life: Life) -> UUID:
    reference = sends_gas(life)
    life.bank.execute()
    life.bank.chain.mine()
    return reference


@scenario("execute", owner_receives=(PRICE_NANO,))
def waits_for_the_reader_of_gas(life: Life) -> UUID:
    reference = books_gas_that_left(life)
    life.bank.read_new()
    life.bank.chain.mine(2)
    make_due()
    return reference


@scenario("read", owner_receives=(PRICE_NANO,))
def books_gas_that_came(life: Life) -> UUID:
    reference = books_gas_that_left(life)
    life.bank.read_new()
    life.bank.chain.mine()
    return reference


@scenario("execute_with_little_gas", go_on=queue_again, owner_receives=(PRICE_NANO,))
def lacks_more_than_gas(life: Life) -> UUID:
    return asks_for_gas(life)


@scenario("execute_with_little_gas", go_on=queue_again, owner_receives=(), given_back=(PRICE_NANO,))
def lacks_more_than_the_fee_of_a_refund(life: Life) -> UUID:
    """It came back once, and the ways there and back are gone."""
    reference = life.bank.open_escrow()
    life.bank.set_refund_address(reference, deploy_refuser(life.bank))
    life.bank.deposit(reference)
    life.bank.refund(reference)
    life.bank.settle()
    Settlement.objects.filter(reference=reference).update(
        state=Settlement.State.QUEUED, destination=life.bank.advertiser.raw_address
    )
    make_due()
    return reference


# --- sweeps ---------------------------------------------------------------------------------------


def sweep(life: Life, _reference: UUID) -> None:
    life.bank.sweep()


@scenario("sweep", go_on=sweep)
def owes_a_sweep(life: Life) -> UUID:
    reference = sends(life)
    life.bank.settle()
    return reference


@scenario("execute", go_on=sweep)
def sends_a_sweep(life: Life) -> UUID:
    reference = owes_a_sweep(life)
    life.bank.sweep()
    return reference


@scenario("read", go_on=sweep)
def books_a_sweep(life: Life) -> UUID:
    reference = sends_a_sweep(life)
    life.bank.execute()
    life.bank.chain.mine()
    return reference


@scenario("execute", go_on=sweep)
def sweeps_while_something_is_owed(life: Life) -> UUID:
    reference = sends_a_sweep(life)
    life.bank.pay(reference, 5)
    return reference


@scenario("execute", owner_receives=(PRICE_NANO - 10_000_001,))
def sweeps_what_is_not_worth_it(life: Life) -> UUID:
    life.bank.set_payout_address()
    reference = life.bank.funded_escrow()
    life.bank.release(reference, owner_share_nano=PRICE_NANO - 10_000_001)
    life.bank.settle()
    life.bank.sweep()
    return reference


# --- those who are told ---------------------------------------------------------------------------


def give_an_address(life: Life, _reference: UUID) -> None:
    life.bank.set_payout_address()


def unclaimed(life: Life, days: int) -> UUID:
    reference = life.bank.funded_escrow()
    life.bank.release(reference)
    life.bank.execute()
    life.pass_time(days * 86_400 + 60)
    life.bank.read()
    return reference


@scenario("remind", go_on=give_an_address)
def reminds_an_owner(life: Life) -> UUID:
    return unclaimed(life, days=7)


@scenario("remind", go_on=give_an_address)
def tells_an_operator_of_an_owner(life: Life) -> UUID:
    return unclaimed(life, days=30)


@scenario("retry")
def tries_again(life: Life) -> UUID:
    reference = sends(life)
    Settlement.objects.filter(reference=reference, kind=Kind.PAYOUT).update(state="NEEDS_OPERATOR")
    return reference
