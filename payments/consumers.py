"""What payments does when its own events come round: wake what is due now."""

from __future__ import annotations

import datetime as dt

from advertmarket.messaging.consumer import consumes
from advertmarket.wake import wake_after_commit

from .deposits.rule import apply_rule
from .events import DepositSeen, SettlementDue
from .sending.settlements import EXECUTE


@consumes(DepositSeen, group="cg-deposit-watcher")
def decide_deposit(event: DepositSeen, *, at: dt.datetime) -> None:
    """Apply the deposit's rule if it is confirmed; otherwise the sweeper does once it is."""
    apply_rule(deposit_id=event.deposit_id, at=at)


@consumes(SettlementDue, group="cg-payout-executor")
def wake_executor(event: SettlementDue, *, at: dt.datetime) -> None:
    """Wake the executor, which finds the settlement in its table."""
    wake_after_commit(EXECUTE)
