"""Reconciliation and alarms beside the model: nobody is woken for what it did not plant.

The model plants more than faults: nobody works unless a rule says so, while hours pass. What that
explains, and only that, stands in the table `EXPLAINED`: a kind of incident that is not there, or
whose reason does not hold, is a false alarm.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.models import Q
from django.utils import timezone

from advertmarket.actors import Actor
from advertmarket.audit import sealer
from ops.checks import chain as chain_checks
from ops.incidents.causes import Cause
from ops.incidents.detectors import all_detectors
from ops.models import ReconciliationRun
from ops.reconciliation import reconcile
from ops.stuck import stuck_transfers
from payments.chain import reader
from payments.chain.proof import prove
from payments.models import Settlement, TonTransaction
from payments.sending.pause import pause_reason
from payments.ton.api import TonUnavailable

from .tally import Tally
from .world import World, replaced

DETECTORS = {
    "audit_log_is_sealed",
    "books_are_right",
    "chain_is_read",
    "deposits_are_decided",
    "deposits_are_found_in_time",
    "due_rows_are_taken",
    "reconciliation_runs",
    "redis_remembers",
    "transfers_go_out",
    "wallets_sign",
}
"""Those of the money. The others look at processes and services, which the model has not."""

EVERY_STEPS, EVERY_LOOKS = 5, 4
"""An incremental run after so many steps, and after so many of those a full one."""

PATIENCE_S = 2.0
AT_ONCE = dt.timedelta(seconds=60)
A_WHILE = dt.timedelta(minutes=10)
"""Within this an attempt has landed or expired, if anybody works."""

_DAY = dt.timedelta(days=1)
_STANDS_AFTER = dt.timedelta(minutes=5)
_BEHIND_AFTER = dt.timedelta(minutes=30)
_BEAT = Actor.system("beat")
Kind = ReconciliationRun.Kind

WAITS = {
    "the wallet is frozen: an operator: ": "an operator froze its wallet",
    "the TON network: ": "a fault of the network",
    "a node that is not behind": "a fault of the network",
    "attempts failed: ": "a fault of the network, and no operator looks",
    "chain time ": "the clocks disagree",
    "nanoTON more in the treasury": "nobody fills the treasury",
    "a refund address": "the advertiser gave no address",
    "an address that is not a deal's own": "somebody gave a deal's own address",
    "the wallet lacks more than a fee": "a contract burnt it, and no operator looks",
}
"""What a transfer may wait for over an hour though people work, and what was planted for it."""


class Beside:
    """The watch of one world: what was planted there, and whether it explains each alarm."""

    def __init__(self, world: World, tally: Tally) -> None:
        self.world, self.tally = world, tally
        self.mishaps: set[str] = set()
        self.has_forgotten = False
        self.worked_at = self.decided_at = timezone.now()
        self.reads = [timezone.now()]
        self.hindered = False
        self._steps = self._looks = 0

    @contextmanager
    def step(self, rule: str, chosen: dict[str, Any]) -> Iterator[None]:
        """Note what the machine plants, and when people work with nothing in their way."""
        is_well = self._nothing_is_broken()
        yield
        self._steps += 1
        if rule == "something_happens":
            self.mishaps.add(chosen["what"])
            self.has_forgotten |= chosen["what"] == "forget"
        if rule == "resumes":
            self.has_forgotten = False
        if is_well and (rule in {"settles", "is_paid"} or chosen.get("at_most") == 1_000):
            self.reads.append(timezone.now())
        if rule in {"applies_deposits", "is_paid"}:
            self.decided_at = timezone.now()
        if is_well and rule == "settles" and not pause_reason() and not _is_in_dead_hands():
            self.worked_at = timezone.now()
            self.mishaps.clear()

    def look_now_and_then(self) -> None:
        """Look if it is time."""
        if self._steps >= EVERY_STEPS:
            self._steps = 0
            self.look()

    def look(self, *, full: bool = False) -> None:
        """Reconcile as beat does it, look for incidents as the watch does, and judge what is seen.

        Raises:
            AssertionError: a false alarm.
        """
        self._looks += 1
        sealer.seal(at=timezone.now())
        self._reconcile(Kind.INCREMENTAL)
        if full or self._looks % EVERY_LOOKS == 1 or self._last_full_is_old():
            self._look_at_everything()
        seen = [cause for one in all_detectors() if one.name in DETECTORS for cause in one.look()]
        false_ones = [cause for cause in seen if not self._explains(cause)]
        if false_ones:
            told = "\n".join(f"{cause.id}: {dict(cause.facts)}" for cause in false_ones)
            raise AssertionError(f"false alarm: {told}")

    def look_after_healing(self) -> None:
        """All has been mended, and people worked until nothing was left to do: look once more."""
        self.worked_at = self.decided_at = timezone.now()
        self.reads.append(timezone.now())
        self.mishaps.clear()
        self.has_forgotten = False
        self.look(full=True)

    def _explains(self, cause: Cause) -> bool:
        why = EXPLAINED.get(cause.id if cause.name.startswith("check_") else cause.name, _never)
        if reason := why(self, cause):
            self.tally.count(f"alarm {cause.name}: {reason}")
        return bool(reason)

    def _look_at_everything(self) -> None:
        """A full run, while which the chain reader goes on in a process of its own."""
        self.hindered = self.world.chain.due_faults() > 0
        meanwhile = functools.partial(prove, patience_s=PATIENCE_S, sleep=lambda _: self._read())
        with replaced(chain_checks, "prove", meanwhile):
            self._reconcile(Kind.FULL)

    def _reconcile(self, kind: ReconciliationRun.Kind) -> None:
        self.tally.count(f"reconciliation {kind.lower()}")
        reconcile(kind, asked_by=_BEAT)

    def _read(self) -> None:
        try:
            reader.read_new_blocks(self.world.client, at_most=1_000)
        except TonUnavailable:
            self.hindered = True

    def _last_full_is_old(self) -> bool:
        last = ReconciliationRun.objects.filter(kind=Kind.FULL).order_by("pk").last()
        return last is None or timezone.now() - last.finished_at > _DAY

    def _nothing_is_broken(self) -> bool:
        apart = dt.datetime.fromtimestamp(self.world.chain.now(), dt.UTC) - timezone.now()
        return self.world.chain.due_faults() == 0 and abs(apart) < dt.timedelta(seconds=10)

    def nobody_works_since(self, at: dt.datetime) -> bool:
        """Whether all work since then had something in its way."""
        return self.worked_at <= at + A_WHILE


Why = Callable[[Beside, Cause], str]
"""Returns what the model did that explains a cause, or nothing."""


def _never(beside: Beside, cause: Cause) -> str:
    return ""


def _stands(beside: Beside, settlement: Settlement) -> str:
    if beside.nobody_works_since(max(settlement.state_since_at, settlement.payable_since_at)):
        return "nobody works"
    for wait, why in WAITS.items():
        if wait in settlement.waiting_for:
            return why
    if settlement.waiting_for.startswith("a gas top-up "):
        return _gas_waits(beside, settlement)
    return "behind others of its wallet" if _is_behind_others(settlement) else ""


def _gas_waits(beside: Beside, settlement: Settlement) -> str:
    """Explain why the gas that a transfer waits for does not come, or is not seen to have come."""
    kind = Settlement.Kind.GAS_TOPUP
    sent = Settlement.objects.filter(reference=settlement.reference, kind=kind)
    gas = sent.order_by("-created_at").first()
    if gas is None:
        return ""
    if gas.confirmed_at is None:
        is_new = gas.state_since_at > timezone.now() - dt.timedelta(hours=1)
        return "its gas is on its way" if is_new else _stands(beside, gas)
    return "nobody works" if beside.nobody_works_since(gas.confirmed_at) else ""


def _is_behind_others(settlement: Settlement) -> bool:
    """Whether its wallet, which sends one at a time, is at another, or was since it waits."""
    others = TonTransaction.objects.filter(
        wallet=settlement.wallet, direction=TonTransaction.Direction.OUT
    ).exclude(settlement=settlement)
    was_at_it = Q(signed_at__gt=settlement.state_since_at)
    return others.filter(was_at_it | Q(state__in=TonTransaction.LIVE)).exists()


def _is_in_dead_hands() -> bool:
    """Whether a process died with transfers that nobody else may take before its lease ends."""
    return Settlement.objects.filter(leased_until__gt=timezone.now()).exists()


def _stuck(beside: Beside, cause: Cause) -> str:
    return _stands(beside, Settlement.objects.get(pk=cause.key))


def _stuck_together(beside: Beside, cause: Cause) -> str:
    stuck = [one.pk for one in stuck_transfers(timezone.now())]
    whys = [_stands(beside, one) for one in Settlement.objects.filter(pk__in=stuck)]
    return "each for its reason" if all(whys) else ""


def _paused(beside: Beside, cause: Cause) -> str:
    return "a pause, or a Redis that forgot" if beside.mishaps & {"pause", "forget"} else ""


def _frozen(beside: Beside, cause: Cause) -> str:
    by_operator = str(cause.facts["reason"]).startswith("an operator: ")
    return "an operator froze it" if by_operator else ""


def _unread(beside: Beside, cause: Cause) -> str:
    return "nobody reads" if beside.reads[-1] < timezone.now() - _BEHIND_AFTER else ""


def _found_late(beside: Beside, cause: Cause) -> str:
    assert cause.since is not None
    sent_at = cause.since - dt.timedelta(minutes=int(cause.facts["minutes"]))
    between = [at for at in beside.reads if sent_at + AT_ONCE < at < cause.since - AT_ONCE]
    return "" if between else "nobody read"


def _undecided(beside: Beside, cause: Cause) -> str:
    return "operators let hours go by"


def _untaken(beside: Beside, cause: Cause) -> str:
    last = {"settlements": beside.worked_at, "deposits": beside.decided_at}.get(cause.key)
    is_old = last is not None and last < timezone.now() - _STANDS_AFTER
    return f"nobody takes {cause.key}" if is_old else ""


def _chain_not_asked(beside: Beside, cause: Cause) -> str:
    is_it = cause.key == "wallets_hold_the_same_on_chain"
    return "a fault of the network" if is_it and beside.hindered else ""


def _forgotten(beside: Beside, cause: Cause) -> str:
    return "Redis forgot" if beside.has_forgotten else ""


def _overpaid(beside: Beside, cause: Cause) -> str:
    waiting = Settlement.objects.open().filter(kind=Settlement.Kind.OVERPAYMENT_REFUND)
    late = waiting.filter(state_since_at__lt=timezone.now() - _DAY)
    whys = [_stands(beside, one) for one in late.exclude(state=Settlement.State.HELD)]
    return "each for its reason" if all(whys) else ""


def _live(beside: Beside, cause: Cause) -> str:
    live = TonTransaction.objects.filter(
        direction=TonTransaction.Direction.OUT,
        state__in=[*TonTransaction.LIVE],
        signed_at__lt=timezone.now() - A_WHILE,
    )
    works = [one for one in live if not beside.nobody_works_since(one.signed_at or timezone.now())]
    return "" if works else "nobody works"


EXPLAINED: dict[str, Why] = {
    # hours pass, and nobody works but by a rule of the machine
    "payout_stuck": _stuck,
    "payouts_stuck": _stuck_together,
    "table_stands": _untaken,
    "chain_behind": _unread,
    "deposits_late": _found_late,
    "deposit_waits": _undecided,
    "check_high:overpayments_leave_in_a_day": _overpaid,
    "check_high:attempts_end_and_are_counted": _live,
    # mishaps and faults that the machine orders
    "payouts_paused": _paused,
    "epoch_lost": _forgotten,
    "wallet_frozen": _frozen,
    "reconciliation_broken": _chain_not_asked,
}
"""Of each kind of incident that the model may cause: what it is caused by. Any other, and any other
check of the books, is a false alarm whenever it is seen."""
