"""Whose money each account holds is said once, and added up alike everywhere."""

from __future__ import annotations

from collections import Counter

from django.utils import timezone, translation

from advertmarket.money import NANO_PER_TON, format_ton
from ops.metrics.money import money
from ops.situation.money import tell_money
from payments.books.chart import HUBS, MEANING, SIDES
from tests.payments.bank import Bank


def test_every_account_that_keeps_a_balance_has_its_side() -> None:
    assert SIDES.keys() == MEANING.keys() - HUBS


def test_metrics_and_status_add_up_the_same_sides(bank: Bank) -> None:
    bank.funded_escrow()
    bank.payout_due()
    bank.fund_treasury(3 * NANO_PER_TON)
    bank.read()

    sides: Counter[str] = Counter()
    for _account, side, ton in money():
        sides[side] += int(ton * NANO_PER_TON)
    with translation.override("en"):
        told = tell_money(timezone.now())

    assert {side: format_ton(nano) for side, nano in sides.items()} == {
        "held": "203",
        "escrow": "100",
        "owed": "90",
        "nobodys": "3",
        "own": "10",
    }
    assert told.says == "escrow 100 TON, owed 90 TON, treasury 0 TON"
    assert told.lines[0] == "commission to sweep 10 TON, nobody's 3 TON"
