"""A process dies while it reads the chain, whatever the chain shows."""

from __future__ import annotations

import base64
import datetime as dt
from uuid import UUID

import pytest
from django.utils import timezone

from payments.models import ChainCursor, Settlement, TonTransaction, Wallet
from payments.sending import executor
from payments.sending.transfers import Plan
from payments.ton import wallet as ton_wallet
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.payments.bank import PRICE_NANO
from tests.payments.contracts import deploy_refuser, transfer_with_opcode

from .life import SPOILT, TON, Kind, Life, nothing, pay_out, scenario
from .sending import sends, waits_for_bounced_money


@scenario("read")
def books_a_landing(life: Life) -> UUID:
    reference = sends(life)
    life.bank.execute()
    life.bank.chain.mine()
    return reference


@scenario("read", owner_receives=())
def books_a_message_that_sent_nothing(life: Life) -> UUID:
    """An overspend is answered "ok", burns the seqno, and sends nothing."""
    return without_a_look_at_the_balance(life, send_mode=3)


@scenario("read", owner_receives=())
def books_a_message_that_was_aborted(life: Life) -> UUID:
    return without_a_look_at_the_balance(life, send_mode=1)


def without_a_look_at_the_balance(life: Life, *, send_mode: int) -> UUID:
    life.bank.set_payout_address()
    reference = life.bank.funded_escrow()
    life.bank.release(reference, owner_share_nano=PRICE_NANO)
    later = timezone.now() + dt.timedelta(days=1)
    Settlement.objects.exclude(reference=reference).update(due_at=later)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "plan", lambda *, settlement, **_: Plan(settlement.amount_nano))
        patch.setattr(ton_wallet, "SEND_MODE", send_mode)
        life.bank.executor().run(at_most=10)
    assert life.bank.attempts(reference) == ["SUBMITTED"]
    life.bank.chain.mine()
    return reference


@scenario("read", owner_receives=())
def books_a_bounce(life: Life) -> UUID:
    reference = waits_for_bounced_money(life)
    life.bank.chain.mine()
    return reference


def give_back_later(days: int) -> None:
    due_at = timezone.now() + dt.timedelta(days=days)
    Settlement.objects.filter(kind=Kind.REFUND).update(due_at=due_at)


@scenario("read", owner_receives=(45 * TON,), into=SPOILT)
def books_an_attempt_that_was_given_up(life: Life) -> UUID:
    """As no chain does: what landed counts, the other debt waits, since the wallet is frozen."""
    reference = life.bank.split_due()
    give_back_later(1)
    life.bank.chain.fault("message", "hold", blocks=1)
    life.bank.executor().run(at_most=1)
    TonTransaction.objects.filter(settlement__reference=reference).update(state="EXPIRED")
    Settlement.objects.filter(reference=reference).update(
        state=Settlement.State.QUEUED, due_at=timezone.now() + dt.timedelta(days=1)
    )
    give_back_later(0)
    life.pass_time(2)
    life.bank.executor().run(at_most=10)
    life.bank.chain.mine()
    return reference


@scenario("read", go_on=pay_out)
def books_a_deposit(life: Life) -> UUID:
    reference = life.bank.open_escrow()
    life.bank.chain.faucet(life.bank.wallet(reference).address, PRICE_NANO)
    return reference


@scenario("read", go_on=pay_out)
def books_a_bounced_deposit_and_a_good_one(life: Life) -> UUID:
    reference = life.bank.open_escrow()
    address = life.bank.wallet(reference).address
    life.bank.chain.faucet(address, PRICE_NANO, bounce=True)
    life.bank.chain.faucet(address, PRICE_NANO)
    return reference


@scenario("read", go_on=pay_out)
def books_what_is_nobodys(life: Life) -> UUID:
    reference = books_a_deposit(life)
    life.bank.chain.faucet(Wallet.objects.get(subwallet=0).address, 5)
    return reference


@scenario("read", go_on=pay_out)
def catches_a_wallet_up(life: Life) -> UUID:
    reference = books_a_deposit(life)
    head = life.bank.chain.mine()
    ChainCursor.objects.update(seqno=head, head_seqno=head)
    life.bank.chain.faucet(life.bank.wallet(reference).address, 1)
    return reference


@scenario("read", go_on=pay_out)
def cannot_catch_a_wallet_up(life: Life) -> UUID:
    life.bank.chain.fault("transactions", "unindexed")
    return catches_a_wallet_up(life)


@scenario("read", go_on=pay_out)
def waits_for_the_indexer(life: Life) -> UUID:
    life.bank.chain.fault("transactionsByMasterchainBlock", "unindexed")
    return books_a_deposit(life)


@scenario("read_far_behind", go_on=pay_out)
def books_a_deposit_ahead_of_its_block(life: Life) -> UUID:
    reference = life.bank.refundable_escrow()
    life.bank.chain.mine(2)
    life.bank.chain.faucet(life.bank.wallet(reference).address, PRICE_NANO)
    life.bank.chain.mine()
    return reference


@scenario("read_far_behind")
def books_a_landing_ahead_of_its_block(life: Life) -> UUID:
    reference = sends(life)
    life.bank.execute()
    life.bank.chain.mine(3)
    return reference


@scenario("read", owner_receives=(), given_back=(PRICE_NANO,))
def books_a_refund(life: Life) -> UUID:
    reference = life.bank.refund_due()
    life.bank.execute()
    life.bank.chain.mine()
    return reference


@scenario("read", go_on=pay_out)
def books_a_jetton_notice(life: Life) -> UUID:
    reference = books_a_deposit(life)
    transfer_with_opcode(life.bank, life.bank.wallet(reference).address, TON, 0x7362D09C)
    return reference


@scenario("read_until_asked_to_stop", go_on=pay_out)
def is_asked_to_stop(life: Life) -> UUID:
    return books_a_deposit(life)


def read_and_give_address(life: Life, _reference: UUID) -> None:
    """Who takes over places the cursor first of all: without one there are no wallets."""
    life.bank.read()
    life.bank.set_payout_address()


@scenario("read", go_on=read_and_give_address)
def reads_for_the_first_time(life: Life) -> UUID:
    reference = sends(life)
    ChainCursor.objects.all().delete()
    return reference


def steal(life: Life, wallet: Wallet, thief: str, nano: int) -> None:
    """Use our key behind our back."""
    state = life.bank.client.wallet_state(wallet.address)
    signed = life.bank.signer.sign_transfer(
        subwallet=wallet.subwallet,
        seqno=state.seqno,
        valid_until=4_000_000_000,
        destination=thief,
        amount_nano=nano,
        comment="",
        bounce=True,
        deploy=not state.is_active,
    )
    assert life.bank.client.send(base64.b64encode(signed.boc).decode()) == "ok"
    life.bank.chain.mine(3)


@scenario("read", owner_receives=(), into=SPOILT)
def books_a_foreign_message_that_sent_nothing(life: Life) -> UUID:
    reference = sends(life)
    steal(life, life.bank.wallet(reference), PersonsWallet("thief").raw_address, 10**12)
    return reference


@scenario("read", owner_receives=(), into=SPOILT)
def books_a_theft_and_a_bounce_that_answers_nothing(life: Life) -> UUID:
    reference = sends(life)
    steal(life, life.bank.wallet(reference), deploy_refuser(life.bank), TON)
    return reference


@scenario("execute", owner_receives=(), into=SPOILT)
def sees_a_theft_before_it_is_booked(life: Life) -> UUID:
    reference = sends(life)
    steal(life, life.bank.wallet(reference), PersonsWallet("thief").raw_address, TON)
    return reference


@scenario("read", go_on=nothing, owner_receives=(), into=SPOILT)
def finds_books_that_differ(life: Life) -> UUID:
    reference = books_a_deposit(life)
    Wallet.objects.filter(reference=reference).update(balance_nano=1)
    return reference
