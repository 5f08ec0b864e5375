"""Check 5 computes in SQL what the ledger computes when it posts."""

from __future__ import annotations

import random
from uuid import UUID, uuid4

import pytest
from django.utils import timezone

from ops import checks
from payments.books.chart import EXTERNAL_TON, NETWORK_FEES, Account, PerDeal
from payments.books.ledger import Line, digest_of
from payments.models import Journal, Posting

from .past import live

pytestmark = [pytest.mark.django_db, pytest.mark.leaves_findings]

DEAL = UUID(int=7)
ACCOUNTS = [*(kind.of(DEAL) for kind in PerDeal), Account("PLATFORM_TREASURY"), NETWORK_FEES]


def some_lines(chance: random.Random) -> list[Line]:
    def line() -> Line:
        debit, credit = chance.sample(ACCOUNTS, 2)
        nano = chance.choice([1, 9, 10, 99, 100, 10**18])
        match chance.randrange(3):
            case 0:
                return Line(EXTERNAL_TON, credit, nano, chance.choice([0, 1, 2, 10]))
            case 1:
                return Line(debit, EXTERNAL_TON, nano, chance.choice([0, 1, 2, 10]))
        return Line(debit, credit, nano)

    return [line() for _ in range(chance.randint(1, 5))]


def store(lines: list[Line], chance: random.Random) -> None:
    kind = chance.choice(list(Journal.Kind))
    journal = Journal.objects.create(
        kind=kind,
        key=f"{uuid4()}",
        digest=digest_of(kind=kind, lines=lines),
        actor="system:test",
        correlation_id=uuid4(),
        posted_at=timezone.now(),
    )
    Posting.objects.bulk_create(
        Posting(
            journal=journal,
            debit=line.debit,
            credit=line.credit,
            amount_nano=line.amount_nano,
            wallet_id=line.subwallet,
        )
        for line in lines
    )


def test_whatever_is_posted_has_the_digest_that_it_was_stored_with() -> None:
    chance = random.Random(20_240_229)
    live(10)
    for _ in range(100):
        store(some_lines(chance), chance)

    assert "journals_are_whole" not in checks.run_all()
    assert Journal.objects.count() == 210
