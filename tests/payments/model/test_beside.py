"""What watches beside the model sees a false alarm, and lets pass what the model planted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.utils import timezone

from advertmarket.state import redis_state
from payments.models import Settlement
from payments.sending.pause import PAUSE_KEY

from .beside import Beside
from .tally import Tally
from .world import World, Worlds

pytestmark = pytest.mark.thorough


@pytest.fixture
def world(worlds: Worlds) -> Iterator[World]:
    with worlds.world() as world:
        yield world


@pytest.fixture
def beside(world: World) -> Beside:
    return Beside(world, Tally())


def live(world: World, beside: Beside) -> Settlement:
    """A deal is paid and released; return what is owed to its owner."""
    with beside.step("is_paid", {}):
        return world.bank.settlement(world.bank.payout_due())


def works(world: World, beside: Beside) -> None:
    with beside.step("settles", {}):
        world.bank.settle()


def test_a_life_without_mishaps_alarms_nobody(world: World, beside: Beside) -> None:
    live(world, beside)
    beside.look(full=True)
    works(world, beside)
    beside.look(full=True)

    assert beside.tally.counts == {"reconciliation incremental": 2, "reconciliation full": 2}


def test_books_that_are_wrong_are_never_explained(world: World, beside: Beside) -> None:
    live(world, beside)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE wallets SET balance_nano = balance_nano - 1 WHERE subwallet = 1")

    with pytest.raises(AssertionError, match="false alarm: check_critical:wallets_hold_what"):
        beside.look()


def test_a_transfer_may_be_stuck_while_nobody_works_and_not_otherwise(
    world: World, beside: Beside
) -> None:
    settlement = live(world, beside)
    world.pass_time(2 * 3_600)
    beside.look()
    assert beside.tally.counts["alarm payout_stuck: nobody works"] == 1

    beside.worked_at = timezone.now()
    with pytest.raises(AssertionError, match=f"(?s)false alarm: .*payout_stuck:{settlement.pk}"):
        beside.look()


def test_a_pause_explains_what_waits_for_its_end(world: World, beside: Beside) -> None:
    live(world, beside)
    with beside.step("something_happens", {"what": "pause"}):
        redis_state().set(PAUSE_KEY, "1")
    works(world, beside)
    world.pass_time(2 * 3_600)
    beside.look()

    assert beside.tally.counts["alarm payouts_paused: a pause, or a Redis that forgot"] == 1
    beside.mishaps.clear()
    with pytest.raises(AssertionError, match="false alarm: payouts_paused"):
        beside.look()
