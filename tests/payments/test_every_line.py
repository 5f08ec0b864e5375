"""A process dies at every line that handles money, one after another (`make test-crash`).

Each scenario brings a deal to a point, lets a process act, and kills it before a line; then life
goes on, and the chain judges. A line that an earlier scenario died at is not died at again.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
import time_machine
from _pytest.mark.structures import ParameterSet
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import Pii
from advertmarket.state import redis_state
from payments import (
    booking,
    deposits,
    executor,
    ledger,
    reader,
    settlements,
    wallets,
)
from payments.chart import PerDeal
from payments.executor import Executor
from payments.models import ChainCursor, Journal, Settlement, TonTransaction, Wallet
from payments.ton import wallet as ton_wallet
from payments.transfers import Plan
from payments.wallets import refill_stock
from sandbox.ton.wallets import Wallet as PersonsWallet
from tests.environment import VARIABLES
from tests.payments.bank import ACTOR, OWNER_SHARE_NANO, PRICE_NANO, Bank
from tests.payments.contracts import deploy_refuser
from tests.payments.doomed import Doomed
from tests.payments.lines import Line, executable_lines, line_of
from tests.payments.test_crash import end_leases

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

TON = 1_000_000_000
MODULES = (executor, settlements, booking, reader, deposits)
FILES = {line.file for module in MODULES for line in executable_lines(module)}

RACES = {
    line_of(Executor.run, "has moved on"),
    line_of(Executor.run, "self._finish(pk)\n"),
    line_of(Executor._record_signature, "raise LeaseLost"),
    line_of(Executor._record_signature, "a steady address"),
    line_of(Executor._broadcast, "return\n", nth=1),
    line_of(Executor._confirm, "raise LeaseLost"),
    line_of(Executor._expire, "raise LeaseLost"),
    line_of(Executor._lock, "raise LeaseLost"),
    line_of(reader._commit_block, "return"),
}
"""Reached only if another process comes in between: `test_races` does that."""

REFUSALS = {
    line_of(executor.make_signer, "raise ValueError"),
    line_of(reader._refuse_unfinished, "raise TonUnavailable"),
    line_of(booking.book, "return"),
}
"""Nothing follows them: `test_payouts` and `test_reader` have their tests."""


class Life:
    """A bank whose clock goes with the chain's, and a new deal and owner for each death."""

    def __init__(self, bank: Bank, clock: time_machine.Traveller, settings: Settings) -> None:
        self.bank = bank
        self.clock = clock
        self._settings = settings

    def begin(self) -> None:
        """The next deal has an owner of its own."""
        self.bank.owner_id += 1
        self.bank.owner = PersonsWallet(f"owner {uuid4()}")
        refill_stock(self.bank.client, at=timezone.now())

    def pass_time(self, seconds: int) -> None:
        """Move both clocks on."""
        self.bank.chain.advance(seconds)
        self.clock.shift(seconds)

    def know_mnemonic(self, mnemonic: str) -> None:
        """Processes that start from now on have this one."""
        self._settings.TON_WALLET_MNEMONIC = mnemonic
        self._settings.TON_WALLET_PUBLIC_KEY = ton_wallet.public_key_of(mnemonic)


@pytest.fixture
def life(bank: Bank, settings: Settings) -> Iterator[Life]:
    with time_machine.travel(timezone.now(), tick=True) as clock:
        yield Life(bank, clock, settings)


@dataclass(frozen=True)
class Scenario:
    """How a deal comes to a point, what a process does there, and how life goes on."""

    name: str
    act: str
    prepare: Callable[[Life], UUID]
    go_on: Callable[[Life, UUID], None]
    owner_receives: tuple[int, ...] = (OWNER_SHARE_NANO,)


CLEAN: list[Scenario] = []
SPOILT: list[Scenario] = []
"""After these, findings are right: somebody else used our key."""


def nothing(_life: Life, _reference: UUID) -> None:
    return


def scenario(
    act: str,
    *,
    go_on: Callable[[Life, UUID], None] = nothing,
    owner_receives: tuple[int, ...] = (OWNER_SHARE_NANO,),
    into: list[Scenario] = CLEAN,
) -> Callable[[Callable[[Life], UUID]], Callable[[Life], UUID]]:
    def register(prepare: Callable[[Life], UUID]) -> Callable[[Life], UUID]:
        into.append(Scenario(prepare.__name__, act, prepare, go_on, owner_receives))
        return prepare

    return register


# --- the executor ---------------------------------------------------------------------------------


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


def queue_again(_life: Life, reference: UUID) -> None:
    """What an operator's retry does."""
    stopped = Settlement.objects.filter(reference=reference, state="NEEDS_OPERATOR")
    stopped.update(state=Settlement.State.QUEUED)


@scenario("execute", go_on=queue_again)
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


def give_an_address(life: Life, _reference: UUID) -> None:
    life.bank.set_payout_address()
    life.pass_time(24 * 3600 + 60)
    life.bank.read()


@scenario("execute", go_on=give_an_address)
def has_no_address(life: Life) -> UUID:
    reference = life.bank.funded_escrow()
    life.bank.release(reference)
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


def two_debts(life: Life) -> UUID:
    """A deal whose wallet owes two payouts to one owner."""
    reference = life.bank.payout_due()
    other, now = uuid4(), timezone.now()
    with transaction.atomic():
        lines = [
            ledger.Line(PerDeal.COMMISSION.of(reference), PerDeal.OWNER_PENDING.of(other), TON)
        ]
        ledger.post(
            kind=Journal.Kind.ESCROW_RELEASE, key=f"test:{other}", lines=lines, actor=ACTOR, at=now
        )
        settlements.owe(
            kind=Settlement.Kind.PAYOUT,
            reference=other,
            wallet=life.bank.wallet(reference),
            payee_id=life.bank.owner_id,
            amount_nano=TON,
            at=now,
        )
    return reference


@scenario("execute", owner_receives=(TON, OWNER_SHARE_NANO))
def has_another_transfer_to_wait_for(life: Life) -> UUID:
    reference = two_debts(life)
    life.bank.executor().run(at_most=1)
    make_due()
    return reference


@scenario("execute", owner_receives=())
def cannot_pay_the_fee(life: Life) -> UUID:
    life.bank.set_payout_address()
    reference = life.bank.funded_escrow()
    life.bank.release(reference, owner_share_nano=PRICE_NANO)
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


# --- the reader -----------------------------------------------------------------------------------


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
    reference = cannot_pay_the_fee(life)
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


@scenario("read", into=SPOILT)
def books_an_attempt_that_was_given_up(life: Life) -> UUID:
    """As no chain does: what landed counts, the other debt waits, since the wallet is frozen."""
    reference = two_debts(life)
    life.bank.chain.fault("message", "hold", blocks=1)
    life.bank.executor().run(at_most=1)
    TonTransaction.objects.filter(settlement__reference=reference).update(state="EXPIRED")
    Settlement.objects.filter(reference=reference).update(
        state=Settlement.State.QUEUED, due_at=timezone.now() + dt.timedelta(days=1)
    )
    life.pass_time(2)
    life.bank.executor().run(at_most=10)
    life.bank.chain.mine()
    return reference


def apply_the_rule(life: Life, _reference: UUID) -> None:
    life.bank.read()
    life.bank.apply_deposits()


def pay_out(life: Life, reference: UUID) -> None:
    apply_the_rule(life, reference)
    life.bank.set_payout_address()
    life.bank.release(reference)


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


@scenario("read_until_asked_to_stop", go_on=pay_out)
def is_asked_to_stop(life: Life) -> UUID:
    return books_a_deposit(life)


@scenario("read", go_on=lambda life, _: life.bank.set_payout_address())
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


# --- the rule of a deposit ------------------------------------------------------------------------


@scenario("apply_deposits", go_on=pay_out)
def funds_the_deal(life: Life) -> UUID:
    reference = life.bank.open_escrow()
    life.bank.pay(reference)
    return reference


def deposit_of(nano: int, price_nano: int = PRICE_NANO) -> Callable[[Life], UUID]:
    def prepare(life: Life) -> UUID:
        reference = life.bank.open_escrow(price_nano)
        life.bank.pay(reference, nano)
        for _ in range(4):
            life.bank.read()
        return reference

    return prepare


for _name, _deposit in {
    "waits_for_the_rest": deposit_of(PRICE_NANO // 2),
    "gives_the_excess_back": deposit_of(PRICE_NANO * 2),
    "asks_about_a_large_sum": deposit_of(2_000 * TON, 2_000 * TON),
}.items():
    CLEAN.append(Scenario(_name, "apply_deposits", _deposit, apply_the_rule, ()))


@scenario("apply_deposits", go_on=apply_the_rule)
def writes_late_dust_off(life: Life) -> UUID:
    reference = sends(life)
    life.bank.settle()
    life.bank.pay(reference, 5)
    life.bank.read()
    life.bank.read()
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


# --- the release ----------------------------------------------------------------------------------


def release(life: Life, reference: UUID) -> None:
    life.bank.release(reference)


@scenario("release", go_on=release)
def owes_the_owner(life: Life) -> UUID:
    life.bank.set_payout_address()
    return life.bank.funded_escrow()


# --- the walk -------------------------------------------------------------------------------------


def make_due() -> None:
    Settlement.objects.update(due_at=timezone.now())


def dropped(life: Life) -> UUID:
    """The first broadcast is answered "ok" and forgotten."""
    reference = life.bank.payout_due()
    life.bank.chain.fault("message", "swallow")
    life.bank.execute()
    return reference


def go_on(life: Life, one: Scenario, reference: UUID) -> None:
    """Life after the death: leases end, others take over."""
    life.bank.chain.clear_faults()
    life.bank.chain.mine()
    end_leases()
    one.go_on(life, reference)
    life.bank.settle(turns=4)
    life.pass_time(200)
    life.bank.settle(turns=5)
    end_leases()
    life.bank.execute()


def judge(life: Life, one: Scenario, reference: UUID) -> str:
    """Return what the chain holds against us, or nothing."""
    bank = life.bank
    received = tuple(sorted(bank.owner_received()))
    if received != one.owner_receives:
        return f"the owner received {received}"
    wallet = bank.wallet(reference)
    if wallet.balance_nano != bank.chain.balance(wallet.address) and one not in SPOILT:
        return f"the books say {wallet.balance_nano}"
    return ""


died_at: set[Line] = set()
"""By this process's tests so far."""


def with_marks(one: Scenario) -> ParameterSet:
    return pytest.param(one, id=one.name, marks=[pytest.mark.leaves_findings][: one in SPOILT])


@pytest.mark.parametrize("one", [with_marks(one) for one in [*CLEAN, *SPOILT]])
def test_whichever_line_a_process_dies_at(life: Life, doomed: Doomed, one: Scenario) -> None:
    life.begin()
    reference = one.prepare(life)
    came_to = doomed.live(one.act, FILES)
    go_on(life, one, reference)
    assert judge(life, one, reference) == "", "nobody dies"

    problems = []
    for line in [line for line in came_to if line.hit <= 2 and line not in died_at]:
        died_at.add(line)
        life.begin()
        reference = one.prepare(life)
        doomed.die(one.act, line)
        go_on(life, one, reference)
        if fault := judge(life, one, reference):
            problems.append(f"{line} (hit {line.hit}): {fault}")
    assert problems == []


@pytest.mark.leaves_findings
def test_no_line_is_left_out(life: Life, doomed: Doomed) -> None:
    came_to: set[tuple[str, int]] = set()
    for one in [*CLEAN, *SPOILT]:
        life.begin()
        reference = one.prepare(life)
        came_to |= {(line.file, line.number) for line in doomed.live(one.act, FILES)}
        go_on(life, one, reference)

    all_lines = {line for module in MODULES for line in executable_lines(module)}
    left_out = {line for line in all_lines if (line.file, line.number) not in came_to}
    assert {str(line) for line in left_out - RACES - REFUSALS} == set()
    assert {str(line) for line in (RACES | REFUSALS) - left_out} == set()
