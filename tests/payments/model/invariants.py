"""What holds after every step, whatever happened before it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from advertmarket.actors import Actor
from ops import checks
from ops.models import ReconciliationRun
from ops.query import rows
from ops.reconciliation import reconcile

AT_ALL_TIMES = {1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 16}
"""The checks that no waiting can break; the others count hours, and are right to complain."""

_NEGATIVE = "SELECT code, balance_nano FROM account_balances WHERE balance_nano < 0"

_SEQNOS = """
SELECT wallet.subwallet, wallet.expected_seqno, count(chain.id)
  FROM wallets wallet
  LEFT JOIN ton_transactions chain ON chain.wallet_id = wallet.subwallet
       AND chain.direction = 'OUT' AND chain.lt IS NOT NULL
 GROUP BY wallet.subwallet HAVING wallet.expected_seqno <> count(chain.id)
"""

_ERRORS = "SELECT id, waiting_for FROM settlements WHERE waiting_for LIKE 'an error%'"

_FROZEN = """
SELECT subwallet, frozen_reason FROM wallets WHERE frozen_reason NOT LIKE 'an operator: %'
   AND frozen_reason <> ''
"""

_WITHOUT_A_WAY_OUT = """
SELECT id, state, waiting_for FROM settlements
 WHERE state IN ('HELD', 'NEEDS_OPERATOR') AND waiting_for = ''
"""

_OPEN = """
SELECT (SELECT count(*) FROM settlements WHERE state NOT IN ('CONFIRMED', 'CANCELLED')),
       (SELECT count(*) FROM deposits WHERE state = 'CONFIRMING'),
       (SELECT count(*) FROM deposits WHERE state = 'REVIEW')
"""

_ESCROWS = "SELECT reference, state, funded_nano FROM escrows"

_CAME = "SELECT escrow_id, sum(amount_nano) FROM deposits GROUP BY escrow_id"


def broken() -> list[str]:
    """Return every promise that the books break now."""
    found = [
        f"check {check.number}: {finding.subject}: {finding.problem}"
        for check in checks.all_checks()
        if check.number in AT_ALL_TIMES
        for finding in check.findings()
    ]
    for what, query in (
        ("below zero", _NEGATIVE),
        ("expects another seqno", _SEQNOS),
        ("met an error", _ERRORS),
        ("froze though nobody stole", _FROZEN),
        ("waits for nobody", _WITHOUT_A_WAY_OUT),
    ):
        found += [f"{what}: {row}" for row in rows(query)]
    return found


def found_otherwise() -> list[str]:
    """Return what a run that begins at the checkpoint says otherwise than a look at everything."""
    run = reconcile(ReconciliationRun.Kind.INCREMENTAL, asked_by=Actor.system("model"))
    failed = set(run.results.exclude(passed=True).values_list("name", flat=True))
    differing = failed ^ checks.run_all().keys()
    return [run.error, *(f"found by one alone: {name}" for name in sorted(differing))]


def escrows() -> Iterator[tuple[str, str, int | None]]:
    """Return reference, state and funded amount of every escrow."""
    yield from ((str(reference), state, nano) for reference, state, nano in rows(_ESCROWS))


def came() -> dict[str, int]:
    """Return what the books know to have come for each deal."""
    return {str(reference): int(nano) for reference, nano in rows(_CAME)}


@dataclass(frozen=True)
class Open:
    """How much there is to do."""

    settlements: int
    undecided: int
    reviews: int


def still_open() -> Open:
    """Return how much waits for machines and for operators."""
    [counts] = rows(_OPEN)
    return Open(*counts)


def none_of(problems: Iterable[str]) -> None:
    """Fail if there are any."""
    if found := [problem for problem in problems if problem]:
        raise AssertionError("\n".join(found))
