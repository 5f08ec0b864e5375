"""The promises about how fast and how well, and what their budgets burn: rules/slos.yml.

Several windows and burn rates, as in https://sre.google/workbook/alerting-on-slos/: a long window
for how much is gone, a short one for whether it goes on. A few bad events among a handful page
nobody: each alert wants `least` of them in its long window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

RULES = "slos.yml"

WINDOWS = ("5m", "30m", "1h", "6h", "3d")
API = 'view=~"(accounts|channels|deals|payments).*api[.].+"'
_REQUESTS = "django_http_requests_latency_seconds_by_view_method"
_ANSWERS = "django_http_responses_total_by_status_view_method_total"


@dataclass(frozen=True)
class Burn:
    """So many times as fast as the budget lasts for 30 days, over a long and a short window."""

    name: str
    times: float
    long: str
    short: str
    says: str


BURNS = (
    Burn("BudgetBurnsFast", 14.4, "1h", "5m", "2 % of a month's budget went in the last hour"),
    Burn("BudgetBurns", 6, "6h", "30m", "5 % of a month's budget went in the last six hours"),
    Burn("BudgetWanes", 1, "3d", "6h", "10 % of a month's budget went in the last three days"),
)


@dataclass(frozen=True)
class Slo:
    """Of all events at most `budget` are bad; `severities` are those of the three burn rates.

    `total` and `bad` are PromQL with a $window.
    """

    name: str
    promise: str
    budget: float
    total: str
    bad: str
    least: int
    severities: tuple[str, str, str]
    anchor: str

    @property
    def label(self) -> str:
        """Its value of the label `slo`."""
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in self.name).lstrip("_")


def _late(histogram: str, le: str, matchers: str = "") -> tuple[str, str]:
    """Return all events of a histogram, and those that took longer than `le`."""
    also = f", {matchers}" if matchers else ""
    braces = f"{{{matchers}}}" if matchers else ""
    total = f"sum(increase({histogram}_count{braces}[$window]))"
    in_time = f'sum(increase({histogram}_bucket{{le="{le}"{also}}}[$window]))'
    return total, f"{total} - {in_time}"


_TO_PEOPLE = 'kind=~"PAYOUT|REFUND"'
_latency = _late(_REQUESTS, "0.5", API)
_deposits = _late("deposit_credit_delay_seconds", "30.0")
_payouts = _late("settlement_confirmation_delay_seconds", "120.0", _TO_PEOPLE)
_notices = _late("notification_delay_seconds", "5.0")

SLOS = (
    Slo(
        "ApiErrors",
        "99.9 % of the API's answers are no errors of ours",
        0.001,
        f"sum(increase({_ANSWERS}{{{API}}}[$window]))",
        f'sum(increase({_ANSWERS}{{status=~"5..", {API}}}[$window])) or vector(0)',
        10,
        ("P1", "P2", "P3"),
        "the-api-is-slow-or-fails",
    ),
    Slo(
        "ApiLatency",
        "95 % of the API's answers take less than 500 ms",
        0.05,
        *_latency,
        20,
        ("P2", "P2", "P3"),
        "the-api-is-slow-or-fails",
    ),
    Slo(
        "DepositsCredited",
        "99.5 % of deposits are credited within 30 s of their finality",
        0.005,
        *_deposits,
        3,
        ("P2", "P2", "P3"),
        "3-deposits-are-not-detected",
    ),
    Slo(
        "PayoutsConfirmed",
        "99 % of payouts and refunds are confirmed within 2 min",
        0.01,
        *_payouts,
        3,
        ("P1", "P2", "P3"),
        "4-payouts-are-stuck",
    ),
    Slo(
        "NoticesSent",
        "99 % of notices are sent within 5 s of their event",
        0.01,
        *_notices,
        10,
        ("P3", "P3", "P3"),
        "5-notifications-are-not-sent",
    ),
)


def rules() -> dict[str, Any]:
    """Return the content of rules/slos.yml."""
    return {
        "groups": [
            {"name": "slo short", "rules": list(_records(WINDOWS[:3]))},
            {"name": "slo long", "interval": "2m", "rules": list(_records(WINDOWS[3:]))},
            {"name": "slo alerts", "rules": list(_alerts())},
        ]
    }


def ratio(slo: Slo, window: str) -> str:
    """Return how to ask for the bad part of a promise's events within a window."""
    which = f'{{slo="{slo.label}"}}'
    return f"slo:bad:increase{window}{which} / slo:all:increase{window}{which}"


def _records(windows: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for slo in SLOS:
        for window in windows:
            for which, events in (("all", slo.total), ("bad", slo.bad)):
                yield {
                    "record": f"slo:{which}:increase{window}",
                    "expr": events.replace("$window", window),
                    "labels": {"slo": slo.label},
                }


def _alerts() -> Iterator[dict[str, Any]]:
    for slo in SLOS:
        for burn, severity in zip(BURNS, slo.severities, strict=True):
            limit = f"{burn.times * slo.budget:g}"
            yield {
                "alert": f"{slo.name}{burn.name}",
                "expr": (
                    f"{ratio(slo, burn.long)} > {limit}"
                    f" and {ratio(slo, burn.short)} > {limit}"
                    f' and slo:bad:increase{burn.long}{{slo="{slo.label}"}} >= {slo.least}'
                ),
                "labels": {"severity": severity},
                "annotations": {
                    "summary": f"{slo.promise}: {burn.says}",
                    "runbook": f"docs/runbook.md#{slo.anchor}",
                },
            }
