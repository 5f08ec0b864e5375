"""A journal of each kind moves money as its table says, and in no other way."""

from __future__ import annotations

import datetime as dt
from itertools import product

import pytest
from django.db import transaction

from advertmarket.actors import Actor
from payments.books import ledger
from payments.books.chart import (
    DUST_WRITEOFF,
    EXTERNAL_TON,
    HUBS,
    PLATFORM_TREASURY,
    Account,
    PerDeal,
    PerWallet,
)
from payments.books.journals import LEGS, allows
from payments.books.ledger import Line
from payments.models import Journal, Posting

AT = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
NAMES = [*PerDeal, *PerWallet, *HUBS, PLATFORM_TREASURY, DUST_WRITEOFF]


def test_every_kind_has_its_legs() -> None:
    assert set(LEGS) == set(Journal.Kind)


@pytest.mark.parametrize("kind", Journal.Kind)
def test_exactly_the_moves_of_the_table_are_allowed(kind: Journal.Kind) -> None:
    for leg in LEGS[kind]:
        key = leg.key.replace("{", "").replace("}", "")
        same_key = [one for one in LEGS[kind] if one.key == leg.key]
        listed = {move for one in same_key for move in product(one.debit, one.credit)}
        for debit, credit in product(NAMES, NAMES):
            move = (Account(f"{debit}:1"), Account(f"{credit}:1"))
            assert allows(kind, key, [move]) is ((debit, credit) in listed), (debit, credit)


@pytest.mark.parametrize("kind", Journal.Kind)
def test_a_key_of_another_kind_is_refused(kind: Journal.Kind) -> None:
    leg = LEGS[kind][0]

    assert not allows(kind, "other:1", [(Account(leg.debit[0]), Account(leg.credit[0]))])


def test_nothing_that_left_for_the_chain_comes_from_escrow() -> None:
    takers = {
        kind
        for kind, legs in LEGS.items()
        for leg in legs
        if EXTERNAL_TON in leg.credit and PerDeal.ESCROW in leg.debit
    }

    assert takers == set()


@pytest.mark.django_db
def test_the_ledger_refuses_what_the_table_does_not_list() -> None:
    line = Line(Account("ESCROW:x"), PLATFORM_TREASURY, 1)

    with transaction.atomic(), pytest.raises(ValueError, match="does not move money like this"):
        ledger.post(
            kind=Journal.Kind.ESCROW_RELEASE,
            key="release:1",
            lines=[line],
            actor=Actor.system("test"),
            at=AT,
        )

    assert not Posting.objects.exists()
