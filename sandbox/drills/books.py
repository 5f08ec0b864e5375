"""9: reconciliation fails: a superuser has changed a balance, past every rule of the product."""

from __future__ import annotations

import re

from .operators import SECOND
from .room import Room
from .script import Missing

STOLEN_NANO = 1_000_000_000
_APPROVE = re.compile(r"operate approve (\S+)")


def drill(room: Room) -> None:
    """Payouts are paused once; the row is put right, and two operators resume."""
    eyes, script = room.eyes, room.script
    deal, other = room.funded_deal(), room.funded_deal()
    account = f"ESCROW:{other.id}"
    script.cause(f"a superuser takes {STOLEN_NANO} nanoTON off the balance of {account} by SQL")
    _change(room, account, -STOLEN_NANO)
    printed = room.operators.look("reconcile")
    script.symptom("reconcile", "")
    script.says("\n".join(_failed(printed)))
    incident = eyes.incident("check_critical", within_s=30)
    eyes.metric("reconciliation_check_failed", lambda value: value >= 1, severity="CRITICAL")
    eyes.alert("CheckFailedCritical", *_failing(room))
    eyes.metric("payouts_paused", lambda value: value == 1)
    eyes.status("reconciliation", "NOT all checks passed")
    room.call_off(deal)
    room.waits(deal, "REFUND", "system:pause_payouts is set")
    script.fix("the row is put right, to what its postings add up to")
    _change(room, account, STOLEN_NANO)
    printed = room.operators.plain("reconcile")
    if _failed(printed):
        raise Missing(f"reconcile does not pass: {_failed(printed)}")
    answer = room.operators.refused("resume", "--reason", "A drill: the balance is put right")
    found = _APPROVE.search(answer)
    if found is None:
        raise Missing("resume does not ask for a second operator")
    room.operators.run("operate", "approve", found[1], by=SECOND)
    room.confirmed_once(deal, "REFUND", deal.advertiser, within_s=60)
    eyes.metric("payouts_paused", lambda value: value == 0)
    eyes.quiet("CheckFailedCritical")
    _paused_once(room, incident.number)


def _change(room: Room, account: str, nano: int) -> None:
    with room.eyes.superuser.transaction():
        room.sql("SET LOCAL session_replication_role = replica")  # no trigger looks
        changed = room.sql(
            "UPDATE account_balances SET balance_nano = balance_nano + %(nano)s"
            " WHERE code = %(account)s RETURNING code",
            nano=nano,
            account=account,
        )
    if not changed:
        raise Missing(f"there is no account {account}")


def _failed(printed: str) -> list[str]:
    """The lines of a reconciliation that do not pass, with what they found below."""
    lines: list[str] = []
    for line in printed.splitlines():
        is_verdict = line[:2].strip().isdigit()
        if (is_verdict and " pass " not in line) or (not is_verdict and lines):
            lines.append(line)
    return lines


def _failing(room: Room) -> list[dict[str, str]]:
    return [
        {"number": sample.labels["number"], "check": sample.labels["check"]}
        for sample in room.eyes.scrape().samples
        if sample.name == "reconciliation_check_failed"
        and sample.value
        and sample.labels["severity"] == "CRITICAL"
    ]


def _paused_once(room: Room, incident: int) -> None:
    [(pauses,)] = room.sql(
        "SELECT count(*) FROM audit_log WHERE action = 'payouts.paused' AND reason LIKE %(why)s",
        why=f"incident {incident}:%",
    )
    if pauses != 1:
        raise Missing(f"payouts were paused {pauses} times for one incident")
    room.script.proof("payouts were paused once for it, and stay resumed")
