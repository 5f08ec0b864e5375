"""A process dies at every line that handles money, one after another (`make test-crash`).

Each scenario (in `walk`) brings a deal to a point, lets a process act, and kills it before a line;
then life goes on, and the chain judges. A line that an earlier scenario died at is not died at
again, but once more for each kind of settlement.
"""

from __future__ import annotations

from uuid import UUID

import pytest
from _pytest.mark.structures import ParameterSet

from payments import escrows, services
from payments.chain import booking, reader
from payments.deposits import allocation, partials, postings, review, rule
from payments.models import Settlement, TonTransaction
from payments.sending import executor, limits, settlements, sweep, transfers, unclaimed
from payments.sending.executor import Executor
from payments.sending.settlements import TREASURY_REFERENCE
from tests.payments.bank import Bank
from tests.payments.doomed import Doomed
from tests.payments.lines import Line, executable_lines, line_of, lines_of
from tests.payments.test_crash import end_leases
from tests.payments.walk import (  # noqa: F401 - they register
    deciding,
    every_kind,
    platform,
    reading,
    sending,
)
from tests.payments.walk.life import CLEAN, SPOILT, Life, Scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

MODULES = (
    executor,
    settlements,
    booking,
    reader,
    rule,
    review,
    allocation,
    partials,
    postings,
    escrows,
    transfers,
    limits,
    unclaimed,
    sweep,
    services,
)
FILES = {line.file for module in MODULES for line in executable_lines(module)}

RACES = {
    line_of(Executor.run, "has moved on"),
    line_of(Executor.run, "self._finish(pk)\n"),
    line_of(Executor._record_signature, "raise LeaseLost"),
    line_of(Executor._record_signature, "a steady address"),
    line_of(Executor._record_signature, "is frozen: {wallet."),
    line_of(Executor._broadcast, "return\n", nth=1),
    line_of(Executor._confirm, "raise LeaseLost"),
    line_of(Executor._expire, "raise LeaseLost"),
    line_of(Executor._lock, "raise LeaseLost"),
    line_of(Executor._write_off, "raise LeaseLost"),
    line_of(Executor._wait, "raise LeaseLost"),
    line_of(reader._commit_block, "return"),
    line_of(sweep.owe_sweep, "return\n"),
}
"""Reached only if another process comes in between: `test_races` does that, and its like."""

REFUSALS = {
    *lines_of(executor.make_signer),
    *lines_of(partials.given_back_nano),
    line_of(reader._refuse_unfinished, "raise TonUnavailable"),
    line_of(reader._catch_up_wallet, "except (MissingLink"),
    line_of(reader._catch_up_wallet, "logger.warning("),
    line_of(services.split_escrow, "raise SplitNotPossible"),
    line_of(services._decide, "raise EscrowNotFunded"),
    line_of(services._lock_funded, "raise EscrowNotFunded"),
    line_of(settlements.lock, "raise NoSuchSettlement"),
    *[line_of(transfers.plan, "wanted = ", nth=n) for n in (1, 2)],
    *[line_of(transfers.plan, "raise NotNow(wanted", nth=n) for n in (1, 2)],
    line_of(transfers.plan, "raise NeedsGas(quote_nano"),
    line_of(transfers.plan, "raise _treasury_lacks("),
    line_of(transfers.refuse_if_empty, "raise _treasury_lacks("),
    *lines_of(transfers._treasury_lacks),
    line_of(Executor._step, "among many messages"),
    line_of(Executor._sign, "another transfer of this wallet"),
    line_of(Executor._record_signature, "another transfer of this wallet"),
    line_of(Executor._record_signature, "would not stay between own wallets"),
    line_of(Executor._broadcast, "frozen = "),
    line_of(Executor._broadcast, "raise NotNow(frozen"),
    line_of(settlements.requeue, "payable_since_at = at"),
    line_of(booking._book_out, "of a cancelled transfer landed"),
    *[line_of(booking._answered_by, text) for text in ("rivals = ", "return None if rivals")],
    line_of(rule.final_at, "return row.chain_at\n"),
    line_of(review.lock_in_review, "raise NotInReview"),
    line_of(review.reject, "raise NotInReview"),
    line_of(reader.head_of_ours, "raise TonUnavailable("),
    line_of(reader.head_of_ours, "reason="),
}
"""Nothing follows them, or what follows others too: they have their tests elsewhere."""


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
    if given_back(bank) != one.given_back:
        return f"the advertiser received {bank.advertiser_received()}"
    if one.kind and not confirmed_once(one.kind):
        return f"the {one.kind} is not sent once and confirmed"
    is_treasury = reference == TREASURY_REFERENCE
    wallet = bank.treasury() if is_treasury else bank.wallet(reference)
    if wallet.balance_nano != bank.chain.balance(wallet.address) and one not in SPOILT:
        return f"the books say {wallet.balance_nano}"
    return ""


def confirmed_once(kind: str) -> bool:
    """Whether the last settlement of this kind is confirmed, and one attempt at it landed."""
    settlement = Settlement.objects.filter(kind=kind).latest("created_at")
    landed = settlement.chain_transactions.exclude(lt=None)
    return settlement.state == Settlement.State.CONFIRMED and landed.count() == 1


def given_back(bank: Bank) -> tuple[int, ...]:
    """What the chain says that came back to the advertiser, and what was withheld of it."""
    arrived = sorted(bank.advertiser_received())
    confirmed = TonTransaction.objects.filter(
        destination=bank.advertiser.raw_address, state=TonTransaction.State.CONFIRMED
    ).order_by("sent_nano")
    if [one.sent_nano for one in confirmed] != arrived:
        return ()
    return tuple(one.sent_nano + one.withheld_nano for one in confirmed)


died_at: set[tuple[str, Line]] = set()
"""By this process's tests so far, for each kind of settlement."""


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
    for line in came_to:
        if line.hit > 2 or (one.kind, line) in died_at:
            continue
        died_at.add((one.kind, line))
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
