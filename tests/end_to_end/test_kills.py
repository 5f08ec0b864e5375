"""SIGKILL any process at any step of a deal: it completes, and the owner is paid exactly once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.demo.people import PRICE_NANO, Market
from sandbox.demo.stack import ROLES, STAND_INS, Stack
from sandbox.demo.story import COMPLETED, Story

pytestmark = pytest.mark.thorough

SHARE_NANO = PRICE_NANO * 9 // 10
SERVICES = ("postgres", "valkey", "kafka")
VICTIMS = (
    *(role.name for role in ROLES if role.name != "watch"),  # which takes no part in a deal
    *STAND_INS,
    *SERVICES,
)


def kill_and_restart(stack: Stack, name: str) -> None:
    """What a crash and a supervisor do."""
    if name in SERVICES:
        stack.services.kill(name)
        stack.services.restart(name)
        if name == "kafka":  # this broker keeps nothing, topics included
            stack.manage("create_topics")
    else:
        stack.kill(name)
        stack.start_role(name)


def live(stack: Stack, after_step: Callable[[int], None]) -> None:
    """Live a deal with something done after each step; the chain's own balances judge it."""
    with Market(stack, patience_s=120) as market:
        story = Story(market)
        for number, _step in enumerate(story.steps(), 1):
            after_step(number)
        assert story.status == COMPLETED
        assert story.owner_received_nano() == SHARE_NANO
    assert "FAIL" not in stack.manage("reconcile")


@pytest.mark.timeout(240)
def test_a_deal_in_which_every_process_dies_once(stack: Stack) -> None:
    victims = iter(VICTIMS)

    def kill_next(_number: int) -> None:
        if (name := next(victims, None)) is not None:
            kill_and_restart(stack, name)

    live(stack, kill_next)

    assert next(victims, None) is None


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("victim", VICTIMS)
def test_a_deal_in_which_one_process_dies_at_every_step(stack: Stack, victim: str) -> None:
    live(stack, lambda _number: kill_and_restart(stack, victim))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_kafka_emptied_in_the_middle_of_a_deal(stack: Stack) -> None:
    def empty(number: int) -> None:
        if 5 <= number <= 8:
            stack.services.kill("kafka")
            stack.services.restart("kafka")
            stack.manage("create_topics")

    live(stack, empty)
