"""Everything that people, operators, chains and machines may do to money, in any order."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

from django.db import transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from accounts import services as accounts
from advertmarket.errors import DomainError
from advertmarket.state import redis_state
from payments import selectors, services
from payments.books import ledger
from payments.books.ledger import InsufficientFunds, KeyReused
from payments.chain import booking, reader
from payments.deposits import allocation, partials, postings, review
from payments.deposits import rule as rule_of_deposits
from payments.models import AccountBalance, Deposit, Journal, Settlement, Wallet
from payments.operations.requests import UnknownOperation
from payments.sending import executor, settlements, transfers
from payments.sending.executor import Executor
from payments.sending.pause import PAUSE_KEY
from payments.ton.client import TonClient, TonUnavailable
from payments.wallets import NoWalletReady
from tests.payments.bank import ACTOR
from tests.payments.threads import together

from . import acts, healing, invariants
from .beside import Beside
from .expected import TON, Deal, least_funding
from .invariants import none_of
from .tally import Tally
from .world import World, Worlds

F = TypeVar("F", bound=Callable[..., None])

WHICH = st.integers(0, 11)
"""Which of the things that are there; counted round."""

MOST_DEALS = 5
COMES_BACK_NANO = TON // 200
"""Less would not pay its way back, and stays."""

PRICES = st.one_of(
    st.sampled_from([TON // 2, TON, 7 * TON, 99 * TON, 101 * TON, 999 * TON, 1_500 * TON]),
    st.integers(TON // 2, 2_000 * TON),
)
RATES = st.one_of(st.sampled_from([0, 1, 1_000, 5_000]), st.integers(0, 5_000))
WAITS = st.sampled_from([1, 2, 11, 61, 70, 200, 200, 3_600, 90_000, 8 * 86_400, 31 * 86_400])

READS = [
    "masterchainInfo",
    "walletInformation",
    "addressInformation",
    "estimateFee",
    "transactionsByMasterchainBlock",
    "transactions",
    "transactionsByMessage",
    "*",
]
FAULTS = [
    *[("message", kind) for kind in ("swallow", "hold", "lost_answer", "cut", "error", "delay")],
    *[(method, kind) for method in READS for kind in ("error", "lagging")],
    *[("*", kind) for kind in ("delay", "rate limit", "unindexed", "refusal")],
]
"""Where, and what."""

FILES = {
    file
    for module in (
        *(allocation, partials, postings, review, rule_of_deposits),
        *(booking, executor, ledger, reader, settlements, transfers),
    )
    if (file := module.__file__)
}
"""Where processes die."""


def step(*, books: bool = True, **choices: Any) -> Callable[[F], Any]:
    """Make a rule that is counted; `books`: it may change them, so they are checked after it."""

    def register(do: F) -> Any:
        @functools.wraps(do)
        def counted(self: Money, **chosen: Any) -> None:
            self.tally.count(f"rule {do.__name__}")
            self.world.tick()
            self.unchecked = self.unchecked or books
            with self.beside.step(do.__name__, chosen):
                do(self, **chosen)

        as_rule: Callable[[Any], Any] = rule(**choices)
        return as_rule(counted)

    return register


_ORDERS: dict[Any, list[str]] = {
    Settlement: ["created_at", "reference", "kind", "amount_nano"],
    Journal: ["posted_at", "key"],
}
"""Their keys are random, and a run is to be replayed."""

_NOBODYS = AccountBalance.objects.filter(
    code__startswith="UNSOLICITED:", balance_nano__gt=0
).exclude(code="UNSOLICITED:0")
"""What came unasked, but for the treasury's."""

_REVERSIBLE = [Journal.Kind.DUST_WRITEOFF, Journal.Kind.FEE_ADJUSTMENT]
_MAY_LACK_FUNDS = {"treasury.claim", "treasury.bear_fees", "journal.reverse"}


def _tiers(rates: list[int]) -> list[dict[str, int]]:
    """Each rate holds for another 100 TON."""
    return [
        {"min_nano": n * 100 * TON, "max_nano": (n + 1) * 100 * TON, "rate_bp": rate}
        for n, rate in enumerate(rates)
    ]


class TimeIsUp(Exception):
    """The time for random runs is over, in the middle of a seed's."""


class Money(RuleBasedStateMachine):
    """Lives in a world of its own; `worlds` and `tally` are given by a subclass.

    After `ends` (on the monotonic clock) no further world begins.
    """

    worlds: ClassVar[Worlds]
    tally: ClassVar[Tally]
    ends: ClassVar[float] = math.inf
    is_over: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        if time.monotonic() > self.ends:
            type(self).is_over = True
            raise TimeIsUp
        self.deals: list[Deal] = []
        self.moved = False
        self.unchecked = True
        self.reading_is_bad = False
        self.came_unasked = False
        self.open = invariants.Open(0, 0, 0)
        self._stack = contextlib.ExitStack()
        self.world: World = self._stack.enter_context(self.worlds.world())
        self.beside = Beside(self.world, self.tally)
        self.tally.worlds += 1

    def teardown(self) -> None:
        """Let life run until it is quiet, judge, and forget the world."""
        with self._stack:
            if sys.exc_info()[0] is None:
                turns = healing.heal(self.world, self.deals)
                self.tally.counts["healing turns"] += turns
                healing.judge(self.world, self.deals)
                self.beside.look_after_healing()
        self.tally.write()

    # --- after each step --------------------------------------------------------------------------

    @invariant()
    def all_is_well(self) -> None:
        """Nobody may ever see the books wrong, or have too much on chain."""
        if self.unchecked:
            self._check_the_books()
        if self.moved:
            for deal in self.deals:
                healing.judge_owner(self.world, deal)
        self.unchecked = self.moved = False
        self.beside.look_now_and_then()

    def _check_the_books(self) -> None:
        none_of(invariants.broken())
        healing.look(self.deals)
        self.open = invariants.still_open()
        came = invariants.came()
        for deal in self.deals:
            if came.get(str(deal.reference), 0) > sum(deal.arrived):
                raise AssertionError(f"more came in the books than on the chain: {deal}")

    # --- deals ------------------------------------------------------------------------------------

    @initialize(
        price=PRICES, rate=RATES, given=st.booleans(), then=st.sampled_from(["", "release"])
    )
    def begins(self, price: int, rate: int, given: bool, then: str) -> None:
        """Nothing happens before there is a deal."""
        self._open(price, rate, hours=24, given=given)
        self._is_paid(self.deals[0], then)

    @precondition(lambda self: len(self.deals) < MOST_DEALS)
    @step(
        price=PRICES,
        rate=RATES,
        by_tier=st.booleans(),
        hours=st.sampled_from([1, 24]),
        given=st.booleans(),
    )
    def opens(self, price: int, rate: int, by_tier: bool, hours: int, given: bool) -> None:
        """A deal is agreed; the advertiser may have said where refunds go."""
        with self._may_fail(TonUnavailable):
            self.world.refill()
        if by_tier:
            rate = selectors.commission_rate(price_nano=price)
        self._open(price, rate, hours=hours, given=given)

    def _open(self, price: int, rate: int, *, hours: int, given: bool) -> None:
        reference, number = self.world.uuid(), self.world.number()
        now = timezone.now()
        deadline_at = now + dt.timedelta(hours=hours)
        with self._may_fail(NoWalletReady), transaction.atomic():
            services.open_escrow(
                reference=reference,
                price_nano=price,
                payment_deadline_at=deadline_at,
                actor=ACTOR,
                at=now,
            )
            for user_id in (1_000 + number, 2_000 + number):
                accounts.get_or_create_user(
                    user_id=user_id, first_name="N", username="", language_code="en", at=now
                )
        wallet = Wallet.objects.filter(reference=reference).first()
        if wallet is None:
            return
        deal = Deal(
            reference=reference,
            subwallet=wallet.subwallet,
            address=wallet.address,
            owner_id=1_000 + number,
            advertiser_id=2_000 + number,
            price_nano=price,
            rate_bp=rate,
            deadline_s=int(deadline_at.timestamp()),
        )
        self.deals.append(deal)
        if given:
            acts.set_refund_address(self.world, deal, self.world.address())

    @precondition(lambda self: self.deals)
    @step(
        books=False,
        which=WHICH,
        how=st.sampled_from(
            ["exact", "exact", "exact", "short", "half", "over", "far over", "dust", "least", "odd"]
        ),
        odd=st.integers(1, 3 * TON),
        bounce=st.sampled_from([False, False, False, True]),
        mine=st.booleans(),
    )
    def pays(self, which: int, how: str, odd: int, bounce: bool, mine: bool) -> None:
        """Somebody sends something to a deal's address, perhaps with others in one block."""
        deal = self._deal(which)
        nano = {
            "exact": deal.price_nano,
            "least": least_funding(deal.price_nano),
            "short": least_funding(deal.price_nano) - 1,
            "half": deal.price_nano // 2,
            "over": deal.price_nano * 105 // 100,
            "far over": deal.price_nano * 2,
            "dust": TON // 200,
            "odd": odd,
        }[how]
        bounce = bounce and nano >= COMES_BACK_NANO and not self._is_deployed(deal)
        source = self.world.address()
        self.world.chain.faucet(deal.address, nano, source=source, bounce=bounce, mine=mine)
        if not bounce:
            deal.arrived.append(nano)

    @precondition(lambda self: self.deals)
    @step(
        books=False,
        which=WHICH,
        to_treasury=st.booleans(),
        notice=st.booleans(),
        nano=st.integers(1, TON),
    )
    def sends_nobodys_money(self, which: int, to_treasury: bool, notice: bool, nano: int) -> None:
        """A jetton wallet's notice, or a stranger's gift to the treasury."""
        address = self._treasury().address if to_treasury else self._deal(which).address
        is_notice = notice or not to_treasury
        self.came_unasked = self.came_unasked or not to_treasury
        self.world.chain.faucet(
            address, nano, source=self.world.refuser, jetton_notice=is_notice, mine=False
        )

    @precondition(lambda self: self.deals)
    @step(which=WHICH, then=st.sampled_from(["", "", "release", "refund"]))
    def is_paid(self, which: int, then: str) -> None:
        """What mostly happens: the price comes at once, and is found."""
        self._is_paid(self._deal(which), then)

    def _is_paid(self, deal: Deal, then: str) -> None:
        self.world.chain.faucet(deal.address, deal.price_nano, source=self.world.address())
        deal.arrived.append(deal.price_nano)
        with self._may_fail(TonUnavailable):
            self.world.bank.read()
        self.world.bank.apply_deposits()
        self.moved = True
        healing.look(self.deals)
        with self._may_fail(services.EscrowNotFunded):
            if then == "release":
                acts.release(deal)
            if then == "refund":
                acts.refund(deal)

    @precondition(lambda self: self._any_is("AWAITING", "FUNDED"))
    @step(which=WHICH, expired=st.booleans())
    def ends_unpaid(self, which: int, expired: bool) -> None:
        """Cancelled, or past its deadline."""
        deal = self._deal(which)
        if expired and timezone.now().timestamp() < deal.deadline_s:
            return
        with self._may_fail(services.EscrowNotEmpty, services.ChainBehind):
            acts.close(deal, expired=expired)

    @precondition(lambda self: self._any_is("FUNDED", "RELEASED"))
    @step(which=WHICH)
    def is_released(self, which: int) -> None:
        """The ad stood as agreed."""
        with self._may_fail(services.EscrowNotFunded):
            acts.release(self._deal(which))

    @precondition(lambda self: self._any_is("FUNDED", "REFUNDED"))
    @step(which=WHICH)
    def is_refunded(self, which: int) -> None:
        """The ad did not stand."""
        with self._may_fail(services.EscrowNotFunded):
            acts.refund(self._deal(which))

    @precondition(lambda self: self._any_is("FUNDED", "SPLIT"))
    @step(which=WHICH, percent=st.integers(0, 100))
    def is_split(self, which: int, percent: int) -> None:
        """The ad stood for a while."""
        deal = self._deal(which)
        gross = deal.funded_nano * percent // 100
        with (
            self._may_fail(services.EscrowNotFunded, *[KeyReused] * (deal.state == "SPLIT")),
            transaction.atomic(),
        ):
            services.split_escrow(
                reference=deal.reference,
                owner_id=deal.owner_id,
                owner_gross_nano=gross,
                commission_rate_bp=deal.rate_bp,
                actor=ACTOR,
                at=timezone.now(),
            )
            if deal.state == "FUNDED":
                deal.split_gross_nano = gross

    # --- where money goes -------------------------------------------------------------------------

    @precondition(lambda self: self.deals)
    @step(which=WHICH, where=st.sampled_from(["own", "own", "refuser", "ours", "before"]))
    def says_where_payouts_go(self, which: int, where: str) -> None:
        """The owner: to a wallet, a contract that refuses, or (mistaken) a deal's address."""
        deal = self._deal(which)
        acts.set_payout_address(self.world, deal, self._address(deal, where, deal.owner_at))

    @precondition(lambda self: self.deals)
    @step(which=WHICH, where=st.sampled_from(["own", "own", "refuser", "ours", "before"]))
    def says_where_refunds_go(self, which: int, where: str) -> None:
        """The advertiser: likewise."""
        deal = self._deal(which)
        address = self._address(deal, where, deal.advertiser_at)
        with self._may_fail(services.OwnAddress):
            acts.set_refund_address(self.world, deal, address)

    # --- processes --------------------------------------------------------------------------------

    @step(books=False, blocks=st.integers(1, 3))
    def makes_blocks(self, blocks: int) -> None:
        """The chain goes on."""
        self.world.chain.mine(blocks)
        self.moved = True

    @step(at_most=st.sampled_from([1, 2, 1_000]), mine=st.booleans())
    def reads(self, at_most: int, mine: bool) -> None:
        """The chain reader."""
        if mine:
            self.world.chain.mine()
            self.moved = True
        with self._may_fail(TonUnavailable):
            reader.read_new_blocks(self.world.client, at_most=at_most)

    @precondition(lambda self: self.open.undecided)
    @step()
    def applies_deposits(self) -> None:
        """The deposit watcher."""
        self.world.bank.apply_deposits()

    @precondition(lambda self: self.open.settlements)
    @step(hurry=st.booleans())
    def executes(self, hurry: bool) -> None:
        """The payout executor."""
        if hurry:
            self.world.hurry()
        self.world.bank.executor().run(at_most=10)

    @precondition(lambda self: self.open.settlements)
    @step()
    def settles(self) -> None:
        """Executor and reader, as they work side by side when nothing is wrong."""
        for _ in range(3):
            self.world.hurry()
            self.world.bank.executor().run(at_most=10)
            self.world.chain.mine()
            with self._may_fail(TonUnavailable):
                reader.read_new_blocks(self.world.client, at_most=1_000)
        self.moved = True

    @precondition(lambda self: self.open.settlements)
    @step()
    def two_execute(self) -> None:
        """Two workers at the same time."""
        self.world.hurry()

        def work() -> None:
            client = TonClient()
            try:
                Executor(client, self.world.bank.signer).run(at_most=10)
            finally:
                client.close()

        for one in together(work, work):
            one.result()

    @precondition(lambda self: self.deals)
    @step()
    def housekeeps(self) -> None:
        """What beat runs from time to time."""
        acts.housekeep()

    @step(books=False)
    def reconciles(self) -> None:
        """What is new is checked: it says what a look at everything says."""
        none_of(invariants.found_otherwise())

    @precondition(lambda self: self.open.settlements or self.open.undecided)
    @step(
        act=st.sampled_from(["execute", "execute", "read", "apply_deposits"]),
        lines=st.integers(1, 300),
    )
    def a_process_is_killed(self, act: str, lines: int) -> None:
        """By SIGKILL, at some line of its work."""
        if self.reading_is_bad:  # it would sleep between its tries
            self._end_faults()
        self.world.hurry()
        died_at = self.world.doomed.die_somewhere(act, FILES, lines=lines)
        self.tally.count(f"kill at {died_at}" if died_at else "survived the kill")

    # --- time and faults --------------------------------------------------------------------------

    @step(books=False, seconds=WAITS)
    def time_passes(self, seconds: int) -> None:
        """Both clocks go on."""
        self.world.pass_time(seconds)
        self.moved = True

    @step(books=False, fault=st.sampled_from(FAULTS), times=st.integers(1, 3))
    def network_fails(self, fault: tuple[str, str], times: int) -> None:
        """Nodes and indexers lag, gateways fail, and an answer to a broadcast says nothing."""
        method, kind = fault
        acts.order_fault(self.world, method, kind, times)
        self.reading_is_bad = self.reading_is_bad or method != "message"
        self.tally.count(f"fault {kind} of {method}")

    @step(books=False)
    def network_recovers(self) -> None:
        """No fault is left."""
        self._end_faults()

    @step(
        books=False,
        what=st.sampled_from(["pause", "forget", "restart", "run ahead", "run far ahead"]),
    )
    def something_happens(self, what: str) -> None:
        """A pause, a Redis without its memory, a new process, clocks that disagree for a while."""
        match what:
            case "pause":
                redis_state().set(PAUSE_KEY, "1")
            case "forget":
                redis_state().flushall()
            case "restart":
                self.world.restart()
            case _:
                self.world.chain.advance(5 if what == "run ahead" else 40)
        self.tally.count(f"mishap {what}")

    @step()
    def resumes(self) -> None:
        """Payouts may run, whatever Redis has kept."""
        redis_state().delete(PAUSE_KEY)
        self.world.bank.confirm_epoch()

    # --- operators --------------------------------------------------------------------------------

    @precondition(lambda self: self.open.reviews)
    @step(which=WHICH, yes=st.booleans(), agree=st.sampled_from([True, True, False]))
    def decides_about_a_deposit(self, which: int, yes: bool, agree: bool) -> None:
        """A large one waits for an operator's word."""
        deposit = self._one(Deposit.objects.filter(state=Deposit.State.REVIEW), which)
        if deposit is not None:
            self._ask(
                f"deposit.{'approve' if yes else 'reject'}",
                agree=agree,
                deposit_id=deposit.pk,
                nano=deposit.amount_nano,
            )

    @precondition(lambda self: self.open.settlements)
    @step(
        which=WHICH,
        operation=st.sampled_from(
            [
                "hold",
                "release",
                "release",
                "retry",
                "cancel_into_refund",
                "write_off",
                "confirm",
                "extend_unclaimed",
                "change_destination",
            ]
        ),
        agree=st.sampled_from([True, True, False]),
    )
    def acts_on_a_settlement(self, which: int, operation: str, agree: bool) -> None:
        """An operator stops, frees, turns or ends an owed transfer."""
        open_ones = Settlement.objects.open()
        settlement = self._one(open_ones, which)
        if settlement is None:
            return
        extra = {"address": self.world.address()} if operation == "change_destination" else {}
        seen = {
            "release": {"held_for": settlement.waiting_for},
            "cancel_into_refund": {"waiting_for": settlement.waiting_for},
            "write_off": {"waiting_for": settlement.waiting_for},
        }.get(operation, {})
        done = self._ask(
            f"settlement.{operation}",
            agree=agree,
            settlement_id=str(settlement.pk),
            nano=settlement.amount_nano,
            **extra,
            **seen,
        )
        deal = next((one for one in self.deals if one.reference == settlement.reference), None)
        if done and deal is not None:
            deal.note(
                operation=operation, kind=settlement.kind, nano=settlement.amount_nano, **extra
            )

    @step(
        which=WHICH,
        operation=st.sampled_from(
            ["freeze", "thaw", "thaw", "withdraw", "claim", "fees", "reverse", "reverse", "tiers"]
        ),
        nano=st.integers(1, 2 * TON),
    )
    def operators_do_more(self, which: int, operation: str, nano: int) -> None:
        """A wallet is stopped or freed, the treasury minded, a mistake corrected."""
        money: dict[str, Any] = {"nano": nano, "key": str(self.world.uuid())}
        wallet = self._one(Wallet.objects.exclude(reference=None), which) or self._treasury()
        journal = self._one(Journal.objects.filter(kind__in=_REVERSIBLE), which)
        match operation:
            case "freeze":
                self._ask("wallet.freeze", subwallet=wallet.subwallet)
            case "thaw":
                self._ask("wallet.unfreeze", subwallet=wallet.subwallet)
            case "withdraw":
                self._ask("treasury.withdraw", nano=nano)
            case "claim":
                self._ask("treasury.claim", subwallet=0, **money)
            case "fees":
                self._ask("treasury.bear_fees", **money)
            case "tiers":
                rates = [which * 100, nano % 5_000][: which % 3]
                self._ask("commission.set_tiers", tiers=_tiers(rates))
            case "reverse" if journal is not None:
                self._ask("journal.reverse", tx_ref=str(journal.pk))

    @precondition(lambda self: self.came_unasked)
    @step(
        which=WHICH,
        part=st.sampled_from([1, 1, 2, 3]),
        where=st.sampled_from(["own", "own", "refuser"]),
        agree=st.sampled_from([True, True, False]),
    )
    def operators_send_back(self, which: int, part: int, where: str, agree: bool) -> None:
        """What came unasked, or a part of it, goes to whom it is."""
        nobodys = self._one(_NOBODYS, which)
        if nobodys is not None:
            self._ask(
                "wallet.send_back",
                agree=agree,
                subwallet=int(nobodys.code.partition(":")[2]),
                nano=-(-nobodys.balance_nano // part),
                address=self.world.refuser if where == "refuser" else self.world.address(),
            )

    # --- helpers ----------------------------------------------------------------------------------

    def _end_faults(self) -> None:
        self.world.chain.clear_faults()
        self.reading_is_bad = False

    def _any_is(self, *states: str) -> bool:
        return any(deal.state in states for deal in self.deals)

    def _deal(self, which: int) -> Deal:
        return self.deals[which % len(self.deals)]

    def _one(self, found: Any, which: int) -> Any:
        ordered = list(found.order_by(*_ORDERS.get(found.model, ["pk"])))
        return ordered[which % len(ordered)] if ordered else None

    def _treasury(self) -> Wallet:
        return Wallet.objects.get(subwallet=0)

    def _address(self, deal: Deal, where: str, before: set[str]) -> str:
        if where == "refuser":
            return self.world.refuser
        if where == "ours":
            return deal.address
        if where == "before" and before:
            return min(before)
        return self.world.address()

    def _is_deployed(self, deal: Deal) -> bool:
        """A wallet that is deployed keeps what would bounce off an empty address."""
        return bool(self.world.chain.state(deal.address)["status"] == "active")

    def _ask(self, name: str, *, agree: bool = True, **payload: object) -> bool:
        self.tally.count(f"operation {name}")
        done = False
        with self._may_fail(DomainError):
            try:
                done = self.world.ask(name, agree=agree, **payload)
            except UnknownOperation as misspelt:
                raise AssertionError(f"{name} is asked for wrongly") from misspelt
            except (InsufficientFunds, KeyReused) as problem:
                if name not in _MAY_LACK_FUNDS:
                    raise AssertionError(f"the books refused {name}") from problem
        if done:
            self.tally.count(f"done {name}")
        return done

    @contextlib.contextmanager
    def _may_fail(self, *refusals: type[DomainError]) -> Iterator[None]:
        try:
            yield
        except refusals as refusal:
            self.tally.count(f"refusal {type(refusal).__name__}")
