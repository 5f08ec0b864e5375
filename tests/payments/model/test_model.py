"""Money at random: `make random-money`, for MONEY_SECONDS; MONEY_SEED plays one run again.

With MONEY_ROW the seeds are those of that name: one state of the code is played alike everywhere.
"""

from __future__ import annotations

import math
import os
import random
import sys
import time

import pytest
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test

from .machine import Money, TimeIsUp
from .tally import Tally
from .world import Worlds

SHORT = settings(
    max_examples=3,
    stateful_step_count=25,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    verbosity=Verbosity.normal,
    print_blob=False,
)
LONG = settings(SHORT, max_examples=6, stateful_step_count=150)
SHRINKING = settings(LONG, phases=[Phase.generate, Phase.shrink])


def play(
    worlds: Worlds, tally: Tally, number: int, how: settings, *, ends: float = math.inf
) -> None:
    """Play the runs of one seed, and begin none after `ends`."""
    tally.seeds.append(number)
    machine: type[Money] = type("Money", (Money,), {"worlds": worlds, "tally": tally, "ends": ends})
    try:
        run_state_machine_as_test(seed(number)(machine), settings=how)
    except (
        TimeIsUp,
        FlakyStrategyDefinition,
    ):  # hypothesis wonders at a world that ends before it begins
        if not machine.is_over:
            raise


@pytest.mark.timeout(120)
def test_money_at_random_for_a_short_while(worlds: Worlds) -> None:
    play(worlds, Tally(), 20_240_229, SHORT)


@pytest.mark.money
@pytest.mark.timeout(0)
@pytest.mark.parametrize("process", [1, 2])
def test_money_at_random(worlds: Worlds, process: int) -> None:
    chosen = os.environ.get("MONEY_SEED")
    if chosen and process > 1:
        pytest.skip("one seed is played by one process")
    row = os.environ.get("MONEY_ROW")
    seeds = random.Random(f"{row} {process}") if row else random.SystemRandom()
    how = SHRINKING if os.environ.get("MONEY_SHRINK") else LONG
    tally = Tally()
    ends = math.inf if chosen else tally.began + float(os.environ.get("MONEY_SECONDS", "600"))
    while not tally.seeds or (time.monotonic() < ends and not chosen):
        number = int(chosen or seeds.getrandbits(32))
        sys.stderr.write(f"seed {number}\n")
        try:
            play(worlds, tally, number, how, ends=ends)
        except BaseException as finding:
            tally.findings.append(
                f"{finding!r:.2000}\nagain: MONEY_SEED={number} make random-money"
            )
            raise
        finally:
            tally.write()
