"""The commission that new deals bear."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from advertmarket.audit.models import AuditEntry
from advertmarket.money import MAX_NANO
from payments.models import CommissionTier, OperatorRequest
from payments.operations.requests import UnknownOperation
from payments.operations.tiers import TiersOverlap
from payments.selectors import commission_rate
from payments.thresholds import FALLBACK_RATE_BP
from tests.payments.operations.desk import Desk, nothing_changes

pytestmark = pytest.mark.thorough

ASKED = (OperatorRequest, AuditEntry)


def tier(low: int, high: int | None, rate: int) -> dict[str, Any]:
    return {"min_nano": low, "max_nano": high, "rate_bp": rate}


def test_the_tiers_are_replaced(desk: Desk) -> None:
    desk.do("commission.set_tiers", tiers=[tier(0, 10, 100)])

    desk.do("commission.set_tiers", tiers=[tier(100, None, 500), tier(20, 100, 700)])

    assert [commission_rate(price_nano=nano) for nano in (5, 19, 20, 99, 100, MAX_NANO)] == [
        FALLBACK_RATE_BP,
        FALLBACK_RATE_BP,
        700,
        700,
        500,
        500,
    ]


@pytest.mark.parametrize(
    "tiers",
    [
        [tier(0, 10, 1), tier(9, 20, 1)],
        [tier(0, None, 1), tier(9, 20, 1)],
        [tier(5, 5, 1)],
        [tier(5, 4, 1)],
        [tier(5, 9, 1), tier(5, 9, 1)],
    ],
)
def test_tiers_that_overlap_or_cover_nothing_are_refused(
    desk: Desk, tiers: list[dict[str, Any]]
) -> None:
    with nothing_changes(but=ASKED), pytest.raises(TiersOverlap):
        desk.do("commission.set_tiers", tiers=tiers)


@pytest.mark.parametrize(
    "wrong", [tier(-1, 5, 1), tier(0, MAX_NANO + 1, 1), tier(0, 5, -1), tier(0, 5, 5_001)]
)
def test_figures_beyond_their_limits_are_not_even_asked_for(
    desk: Desk, wrong: dict[str, Any]
) -> None:
    with nothing_changes(), pytest.raises(UnknownOperation):
        desk.do("commission.set_tiers", tiers=[wrong])


_numbers = st.integers(0, 30)
_tiers = st.lists(
    st.builds(tier, _numbers, st.none() | st.integers(1, 30), st.integers(0, 5_000)), max_size=5
)


@given(tiers=_tiers)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_accepted_gives_each_price_one_rate(
    desk: Desk, tiers: list[dict[str, Any]]
) -> None:
    def covering(price: int) -> list[int]:
        return [
            one["rate_bp"]
            for one in tiers
            if one["min_nano"] <= price and (one["max_nano"] is None or price < one["max_nano"])
        ]

    prices = range(35)
    is_clear = all(len(covering(price)) <= 1 for price in prices)
    covers_all = all(one["max_nano"] is None or one["max_nano"] > one["min_nano"] for one in tiers)
    if not (is_clear and covers_all):
        before = list(CommissionTier.objects.values())
        with pytest.raises(TiersOverlap):
            desk.do("commission.set_tiers", tiers=tiers)
        assert list(CommissionTier.objects.values()) == before
        return

    desk.do("commission.set_tiers", tiers=tiers)

    for price in prices:
        [rate] = covering(price) or [FALLBACK_RATE_BP]
        assert commission_rate(price_nano=price) == rate
