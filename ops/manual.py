"""docs/money.md: what an auditor needs of the books, made from the code that keeps them."""

from __future__ import annotations

from pathlib import Path

from advertmarket.money import NANO_PER_TON
from payments.books.chart import HUBS, MEANING, PerDeal, PerWallet
from payments.books.journals import LEGS
from payments.deposits.partials import PARTIAL_FOR
from payments.sending.unclaimed import REMINDER_DAYS
from payments.thresholds import (
    AUTOMATIC_EXCESS_BP,
    DUST_NANO,
    FALLBACK_RATE_BP,
    FUNDING_TOLERANCE_NANO,
    REVIEW_ABOVE_NANO,
)

from .checks import Severity, all_checks

PATH = Path(__file__).resolve().parent.parent / "docs" / "money.md"

_HEAD = """# Money, for an auditor

Made from the code by `python manage.py describe_money`; a test compares them.

Amounts are whole nanoTON (1 TON = 10^9). A *posting* is one row that debits one account and
credits another, so that it cannot be unbalanced. A *journal* is one business operation: one or
more postings under an idempotency key, with a digest of its content. The same key with the same
content changes nothing; with other content it is an error. The database refuses to change or
delete either. What a kind of journal may move is a table (below), and the ledger refuses
everything else. A balance is credits less debits. The view `ledger_entries` shows the classic two
rows of each posting.

Each deal has its own wallet on chain and its own accounts, so that books and chain are compared
wallet by wallet, to the nano: the negated sum of a wallet's EXTERNAL_TON postings is its balance
on chain after its last booked chain transaction.
"""

_WAYS_IN = (
    (
        f"the price, or up to {FUNDING_TOLERANCE_NANO / NANO_PER_TON:g} TON less"
        " (a thousandth, where that is less)",
        "ESCROW holds what came; the commission bears the shortfall",
    ),
    (
        "above the price",
        "the excess to OVERPAYMENT, and back by itself;"
        f" above {AUTOMATIC_EXCESS_BP // 100} % of the price an operator decides",
    ),
    (
        "below the price",
        "PARTIAL_DEPOSIT; with the rest it funds the deal;"
        f" after {PARTIAL_FOR.total_seconds() / 3600:g} h, or when the deal ends, it goes back",
    ),
    ("for a deal that is funded", "OVERPAYMENT, and back"),
    (
        "after the end",
        "LATE_DEPOSIT, and back;"
        " for a deal that had expired and was paid in time by the chain's clock: ESCROW",
    ),
    (f"up to {DUST_NANO / NANO_PER_TON:g} TON that nobody can use", "DUST_WRITEOFF"),
    (
        f"a deal's sum above {REVIEW_ABOVE_NANO // NANO_PER_TON:,} TON",
        "waits in DEPOSIT_PENDING for an operator's yes or no",
    ),
    (
        "to a wallet without a deal, to the treasury, with a jetton notice",
        "UNSOLICITED; but for the treasury's, two operators can send it back",
    ),
)

_WAYS_OUT = f"""\
A decision (release, refund, split) empties ESCROW inside the books at once, so that nothing can
spend it twice. What is owed is a *settlement*: one transfer out of one wallet, signed once at a
time, confirmed at the recipient's side. A payout sends exactly what is owed; its fee comes from
the commission (or from the treasury, by a GAS_TOPUP). A refund pays its own fee: what is withheld
is credited to NETWORK_FEES. Commission is {FALLBACK_RATE_BP // 100} % unless a tier says otherwise,
fixed when the deal is made; in a split it is taken on the owner's part alone. A payout without an
address is told at once and on days {", ".join(map(str, REMINDER_DAYS))}; on the last an operator
decides. What a wallet had sent for a deal that a restore lost is booked out of UNSOLICITED, where
that deal's deposits are, by two operators who know of it (LOST_DEAL). What came unasked goes back
where two operators say (UNSOLICITED_REFUND), as a refund does; given up, it is nobody's again.
"""


def document() -> str:
    """Return docs/money.md."""
    return "\n".join([_HEAD, _accounts(), _journals(), _ways(), _checks()])


def _accounts() -> str:
    of: dict[str, str] = dict.fromkeys(PerDeal, ":{deal}")
    of |= dict.fromkeys(PerWallet, ":{wallet}")
    rows = [
        f"| `{name}{of.get(name, '')}` | {meaning} | {'yes' if name in HUBS else 'no'} |"
        for name, meaning in MEANING.items()
    ]
    head = ["## Accounts", "", "| account | holds | below zero? |", "|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _journals() -> str:
    rows = [
        f"| {kind.value} | {_list(leg.debit)} | {_list(leg.credit)} | `{leg.key}` |"
        for kind, legs in LEGS.items()
        for leg in legs
    ]
    head = ["## Journals", "", "| kind | debit | credit | key |", "|---|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _ways() -> str:
    rows = [f"| {what} | {where} |" for what, where in _WAYS_IN]
    head = ["## Ways in, ways out", "", "| what comes | where it goes |", "|---|---|"]
    return "\n".join([*head, *rows, "", _WAYS_OUT])


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(str(name) for name in names)


def _checks() -> str:
    rows = [f"| {one.number} | {one.promise} | {one.severity} |" for one in all_checks(full=True)]
    head = [
        "## What the books promise",
        "",
        "Functions under `ops/checks/`; they also run after every database test."
        f" {Severity.CRITICAL} ones stop payouts.",
        "",
        "| # | promise | severity |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])
