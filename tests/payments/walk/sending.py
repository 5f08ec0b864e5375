"""A process dies while it sends what is owed, or waits for what keeps it from sending."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import Pii
from advertmarket.state import redis_state
from payments import wallets
from payments.models import Settlement, Wallet
from payments.thresholds import DUST_NANO
from payments.ton import wallet as ton_wallet
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.environment import VARIABLES
from tests.payments.bank import PRICE_NANO
from tests.payments.contracts import deploy_refuser
from tests.payments.owing import return_due

from .life import TON, Life, make_due, queue_again, scenario


def dropped(life: Life) -> UUID:
    """The first broadcast is answered "ok" and forgotten."""
    reference = life.bank.payout_due()
    life.bank.chain.fault("message", "swallow")
    life.bank.execute()
    return reference


@scenario("execute")
def sends(life: Life) -> UUID:
    return life.bank.payout_due()


@scenario("execute")
def sends_without_an_answer(life: Life) -> UUID:
    life.bank.chain.fault("message", "lost_answer", status=0)
    return life.bank.payout_due()


@scenario("execute")
def waits_for_the_chain(life: Life) -> UUID:
    reference = sends(life)
    life.bank.execute()
    make_due()
    return reference


@scenario("execute")
def sends_the_same_again(life: Life) -> UUID:
    reference = dropped(life)
    life.pass_time(15)
    make_due()
    return reference


@scenario("execute")
def waits_for_the_recipients_side(life: Life) -> UUID:
    reference = waits_for_the_chain(life)
    life.bank.read()
    return reference


@scenario("execute")
def confirms(life: Life) -> UUID:
    reference = waits_for_the_recipients_side(life)
    life.bank.read()
    return reference


@scenario("execute")
def gives_an_attempt_up(life: Life) -> UUID:
    reference = dropped(life)
    life.pass_time(200)
    life.bank.read()
    make_due()
    return reference


def give_up_and_queue_again(life: Life, reference: UUID) -> None:
    life.bank.execute()
    queue_again(life, reference)


@scenario("execute", go_on=give_up_and_queue_again)
def gives_the_fifth_attempt_up(life: Life) -> UUID:
    reference = dropped(life)
    for _ in range(4):
        life.pass_time(200)
        life.bank.read()
        life.bank.execute()
        life.bank.chain.fault("message", "swallow")
        life.bank.execute()
    life.pass_time(200)
    life.bank.read()
    make_due()
    return reference


@scenario("execute")
def comes_too_late_to_broadcast(life: Life) -> UUID:
    reference = sends(life)
    worker = life.bank.executor()
    [pk] = worker._take(1)
    worker._sign(Settlement.objects.select_related("wallet").get(pk=pk))
    worker._finish(pk)
    life.pass_time(130)
    make_due()
    return reference


def lift_the_pause(_life: Life, _reference: UUID) -> None:
    redis_state().delete("system:pause_payouts")


@scenario("execute", go_on=lift_the_pause)
def is_paused(life: Life) -> UUID:
    redis_state().set("system:pause_payouts", "1")
    return life.bank.payout_due()


def let_a_day_pass(life: Life, _reference: UUID) -> None:
    life.pass_time(24 * 3600 + 60)
    life.bank.read()


def give_an_address(life: Life, reference: UUID) -> None:
    life.bank.set_payout_address()
    let_a_day_pass(life, reference)


def give_refund_address(life: Life, reference: UUID) -> None:
    life.bank.set_refund_address(reference)
    let_a_day_pass(life, reference)


@scenario("execute", go_on=give_an_address)
def has_no_address(life: Life) -> UUID:
    reference = life.bank.funded_escrow()
    life.bank.release(reference)
    return reference


@scenario("execute", go_on=give_an_address)
def still_has_no_address(life: Life) -> UUID:
    reference = has_no_address(life)
    life.bank.execute()
    make_due()
    return reference


@scenario("execute", go_on=give_an_address)
def has_an_address_that_cools_down(life: Life) -> UUID:
    life.bank.set_payout_address(address=PersonsWallet("before").raw_address)
    return life.bank.payout_due()


@scenario("execute", go_on=give_an_address)
def has_a_deals_own_address(life: Life) -> UUID:
    reference = life.bank.funded_escrow()
    life.bank.set_payout_address(address=life.bank.wallet(reference).address)
    life.bank.release(reference)
    return reference


def mend_the_vault(life: Life, _reference: UUID) -> None:
    Pii.objects.filter(user_id=life.bank.owner_id).delete()
    give_an_address(life, _reference)


@scenario("execute", go_on=mend_the_vault)
def meets_an_error(life: Life) -> UUID:
    reference = life.bank.payout_due()
    Pii.objects.filter(user_id=life.bank.owner_id).update(nonce=bytes(12))
    return reference


def thaw(life: Life, reference: UUID) -> None:
    Wallet.objects.filter(reference=reference).update(frozen_at=None, frozen_reason="")
    queue_again(life, reference)


@scenario("execute", go_on=thaw)
def is_frozen(life: Life) -> UUID:
    reference = life.bank.payout_due()
    with transaction.atomic():
        wallets.freeze(wallet=life.bank.wallet(reference), reason="a doubt", at=timezone.now())
    return reference


def have_the_right_key(life: Life, reference: UUID) -> None:
    life.know_mnemonic(VARIABLES["TON_WALLET_MNEMONIC"])
    queue_again(life, reference)


@scenario("execute", go_on=have_the_right_key)
def has_another_key(life: Life) -> UUID:
    reference = life.bank.payout_due()
    life.know_mnemonic(ton_wallet.new_mnemonic())
    return reference


def expect_seqno_0(_life: Life, reference: UUID) -> None:
    Wallet.objects.filter(reference=reference).update(expected_seqno=0)


@scenario("execute", go_on=expect_seqno_0)
def asks_a_node_that_is_behind(life: Life) -> UUID:
    reference = life.bank.payout_due()
    Wallet.objects.filter(reference=reference).update(expected_seqno=1)
    return reference


@scenario("execute", owner_receives=(45 * TON,), given_back=(50 * TON,))
def has_another_transfer_to_wait_for(life: Life) -> UUID:
    reference = life.bank.split_due()
    life.bank.executor().run(at_most=1)
    make_due()
    return reference


@scenario("execute", owner_receives=(), given_back=(PRICE_NANO,))
def gives_all_back(life: Life) -> UUID:
    return life.bank.refund_due()


@scenario("execute", go_on=give_refund_address, owner_receives=(), given_back=(60 * TON,))
def has_no_refund_address(life: Life) -> UUID:
    reference = life.bank.open_escrow()
    life.bank.deposit(reference, 60 * TON)
    life.bank.close(reference)
    return reference


@scenario("execute", owner_receives=(), given_back=(60 * TON,))
def hears_late_where_a_refund_goes(life: Life) -> UUID:
    reference = has_no_refund_address(life)
    give_refund_address(life, reference)
    make_due()
    return reference


@scenario("execute", owner_receives=(), given_back=(60 * TON,))
def confirms_what_belongs_to_no_decision(life: Life) -> UUID:
    reference = life.bank.refundable_escrow()
    life.bank.deposit(reference, 60 * TON)
    life.bank.close(reference)
    life.bank.execute()
    life.bank.read()
    life.bank.read()
    make_due()
    return reference


@scenario("execute", go_on=let_a_day_pass, owner_receives=(), given_back=(PRICE_NANO,))
def has_a_refund_address_that_cools_down(life: Life) -> UUID:
    reference = life.bank.open_escrow()
    life.bank.set_refund_address(reference, PersonsWallet("before").raw_address)
    life.bank.set_refund_address(reference)
    life.bank.deposit(reference)
    life.bank.refund(reference)
    return reference


@scenario("execute", owner_receives=())
def is_not_worth_the_fee(life: Life) -> UUID:
    reference = life.bank.refundable_escrow(2_000_000)
    life.bank.deposit(reference, 2_000_000)
    life.bank.refund(reference)
    return reference


@scenario("execute", owner_receives=())
def is_not_worth_sending_back(life: Life) -> UUID:
    return return_due(life.bank, DUST_NANO)


@scenario("execute", owner_receives=(), given_back=(PRICE_NANO,))
def asks_a_node_that_lacks_a_deposit(life: Life) -> UUID:
    reference = life.bank.refundable_escrow()
    life.bank.deposit(reference, 60 * TON)
    life.bank.deposit(reference, 40 * TON)
    life.bank.refund(reference)
    life.bank.chain.fault("walletInformation", "lagging", blocks=6)
    return reference


def raise_the_limits(life: Life, _reference: UUID) -> None:
    life.settings.SIGNING_LIMITS_NANO = dict.fromkeys(("transfer", "hour", "day"), 10**18)


@scenario("execute", go_on=raise_the_limits)
def is_above_the_limit_of_a_transfer(life: Life) -> UUID:
    reference = life.bank.payout_due()
    raise_the_limits(life, reference)
    life.settings.SIGNING_LIMITS_NANO["transfer"] = 1
    return reference


@scenario("execute", go_on=raise_the_limits)
def is_above_the_limit_of_an_hour(life: Life) -> UUID:
    reference = life.bank.payout_due()
    raise_the_limits(life, reference)
    life.settings.SIGNING_LIMITS_NANO["hour"] = 1
    return reference


@scenario("execute")
def finds_the_chain_away(life: Life) -> UUID:
    reference = life.bank.payout_due()
    life.bank.chain.fault("masterchainInfo", "error", status=422)
    return reference


def set_the_clock(life: Life, _reference: UUID) -> None:
    life.clock.shift(40)


@scenario("execute", go_on=set_the_clock)
def has_another_time_than_the_chain(life: Life) -> UUID:
    reference = life.bank.payout_due()
    life.bank.chain.advance(40)
    return reference


@scenario("execute", owner_receives=())
def waits_for_bounced_money(life: Life) -> UUID:
    life.bank.set_payout_address(address=deploy_refuser(life.bank))
    reference = life.bank.funded_escrow()
    life.bank.release(reference)
    life.bank.execute()
    life.bank.read()
    life.bank.chain.mine()
    make_due()
    return reference


def say_queued(_life: Life, reference: UUID) -> None:
    Settlement.objects.filter(reference=reference).update(state=Settlement.State.QUEUED)


@scenario("execute", go_on=say_queued)
def has_no_live_attempt(life: Life) -> UUID:
    """No way leads here; if one did, the settlement would wait and say so."""
    reference = life.bank.payout_due()
    Settlement.objects.filter(reference=reference).update(state=Settlement.State.SUBMITTED)
    return reference
