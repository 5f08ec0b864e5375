"""Each alert fires at figures that ask for it, and not at figures that do not: by promtool."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.prometheus.slos import BURNS, RULES, SLOS, Burn, Slo
from deploy.prometheus.trial import FOLDER, alerts, as_sent, file_of, one_test, write_tests_of_one
from tests.deploy.promtool import promtool

Series = dict[str, str]
"""The values of time series, a minute apart, in promtool's notation."""

_JOBS = ("backend", "worker", "signer", "beat", "chain", "watch", "messenger", "consumers")
_EVERY_JOB = {f'up{{job="{job}"}}': "1x90" for job in _JOBS}
_TASK = "celery_task_last_success_timestamp_seconds"


@dataclass(frozen=True)
class Case:
    """Figures at which an alert fires with these labels, and figures at which it does not."""

    fires: Series
    quiet: Series
    labels: dict[str, str] = field(default_factory=dict)


def gauge(name: str, fires: float, quiet: float, **labels: str) -> Case:
    """An alert on one gauge, whose labels it keeps."""
    braces = "".join(f',{key}="{value}"' for key, value in labels.items()).lstrip(",")
    series = f"{name}{{{braces}}}"
    return Case({series: f"{fires}x90"}, {series: f"{quiet}x90"}, labels)


def silent(task: str) -> Case:
    """An alert on a task that has not run for a while."""
    series = f'{_TASK}{{task="{task}"}}'
    return Case({series: "0x90"}, {series: "0+60x90"})


def _deposits(slow: float) -> Series:
    return {
        "deposit_credit_delay_seconds_count": "0+1x90",
        'deposit_credit_delay_seconds_bucket{le="120.0"}': f"0+{1 - slow}x90",
    }


def _payouts(slow: float) -> Series:
    name = "settlement_confirmation_delay_seconds"
    return {
        f'{name}_count{{kind="PAYOUT"}}': "0+1x90",
        f'{name}_bucket{{kind="PAYOUT",le="600.0"}}': f"0+{1 - slow}x90",
        f'{name}_count{{kind="COMMISSION_SWEEP"}}': "0+1x90",
    }


def _calls(bad: str, bad_rate: float, good: str, *, name: str) -> Series:
    return {
        f'{name}{{outcome="{bad}"}}': f"0+{bad_rate}x90",
        f'{name}{{outcome="{good}"}}': "0+10x90",
    }


_NOT_THE_WORKER = {name: up for name, up in _EVERY_JOB.items() if "worker" not in name}
_NOT_THE_MESSENGER = {name: up for name, up in _EVERY_JOB.items() if "messenger" not in name}
_CHECK = {"number": "1", "check": "debits_equal_credits"}
_FAILED = "reconciliation_check_failed"
_TON, _TELEGRAM = "ton_calls_total", "telegram_calls_total"
_MESSAGES = "telegram_messages_total"

CASES: dict[str, Case] = {
    "ProcessDown": Case(
        {'up{job="signer",instance="a"}': "0x90", 'up{job="messenger",instance="b"}': "0x90"},
        {'up{job="signer",instance="a"}': "1 1 0 1x90"},
        {"job": "signer", "instance": "a"},
    ),
    "ProcessMissing": Case(_NOT_THE_WORKER, _EVERY_JOB, {"job": "worker"}),
    "MessengerDown": Case(_NOT_THE_MESSENGER, _EVERY_JOB, {"job": "messenger"}),
    "ProcessRestarts": Case(
        {'process_start_time_seconds{job="chain"}': "1+1x90"},
        {'process_start_time_seconds{job="chain"}': "1x70 2x20"},
        {"job": "chain"},
    ),
    "StateNotRead": gauge("state_read_failed", 1, 0, source="wallets"),
    "WebhookPending": gauge("telegram_webhook_pending", 100, 99),
    "WebhookUnreachable": Case(
        {"telegram_webhook_error_age_seconds": "60x90", "telegram_webhook_pending": "1x90"},
        {"telegram_webhook_error_age_seconds": "-1x90", "telegram_webhook_pending": "1x90"},
    ),
    "WebhookNotLookedAt": silent("telegram.tasks.watch_webhook"),
    "WebhookFails": Case(
        {'telegram_webhook_calls_total{status="500"}': "0+1x90"},
        {
            'telegram_webhook_calls_total{status="500"}': "1x90",
            'telegram_webhook_calls_total{status="403"}': "0+9x90",
        },
    ),
    "UpdatesWait": gauge("telegram_updates_oldest_age_seconds", 301, 299),
    "TokenRefused": gauge("telegram_token_refused", 1, 0),
    "TelegramAway": Case(
        _calls("TelegramAway", 11, "ok", name=_TELEGRAM),
        _calls("TelegramAway", 9, "ok", name=_TELEGRAM),
    ),
    "ChainReaderBehind": gauge("ton_cursor_age_seconds", 121, 119),
    "ChainReaderFarBehind": gauge("ton_cursor_age_seconds", 1801, 1799),
    "DepositsNotDecided": Case(
        {'deposits_oldest_age_seconds{state="CONFIRMING"}': "121x90"},
        {
            'deposits_oldest_age_seconds{state="CONFIRMING"}': "119x90",
            'deposits_oldest_age_seconds{state="REVIEW"}': "900x90",
        },
    ),
    "DepositsOverLimit": Case(_deposits(0.1), _deposits(0)),
    "DepositInReview": Case(
        {'deposits_oldest_age_seconds{state="REVIEW"}': "7201x90"},
        {'deposits_oldest_age_seconds{state="REVIEW"}': "7199x90"},
    ),
    "DepositTasksSilent": silent("payments.tasks.apply_deposits"),
    "NoAddressInStock": gauge("wallets_ready", 0, 1),
    "TonCenterFails": Case(
        _calls("ConnectError", 11, "200", name=_TON), _calls("502", 9, "200", name=_TON)
    ),
    "TonCenterNotAsked": gauge("ton_breaker_open", 1, 0, job="signer"),
    "TonCenterLimits": Case(_calls("429", 2, "200", name=_TON), _calls("429", 1, "200", name=_TON)),
    "PayoutStuck": gauge("settlements_stuck", 1, 0, kind="PAYOUT"),
    "PayoutsOverLimit": Case(_payouts(0.1), _payouts(0)),
    "TransferNeedsOperator": Case(
        {'settlements_open{kind="REFUND",state="NEEDS_OPERATOR"}': "1x90"},
        {'settlements_open{kind="REFUND",state="QUEUED"}': "1x90"},
        {"kind": "REFUND"},
    ),
    "WalletFrozen": gauge("wallets_frozen", 1, 0),
    "PayoutsPaused": Case({"payouts_paused": "1x90"}, {"payouts_paused": "0 0 1x20 0x70"}),
    "SignerSilent": silent("payments.tasks.execute_settlements"),
    "TreasuryLow": gauge("treasury_ton", 0.9, 1),
    "NoticesWait": gauge("telegram_outgoing_oldest_age_seconds", 301, 299),
    "NoticesForbidden": Case(
        _calls("Forbidden", 11, "ok", name=_MESSAGES),
        {f'{_MESSAGES}{{outcome="Forbidden"}}': "0+0.1x90", f'{_MESSAGES}{{outcome="ok"}}': "0x90"},
    ),
    "NoticesLimited": Case(
        _calls("TooManyRequests", 2, "ok", name=_MESSAGES),
        _calls("NotOurTurn", 90, "ok", name=_MESSAGES),
    ),
    "NoticesRefused": Case(
        _calls("BadRequest", 1, "ok", name=_MESSAGES),
        _calls("BadRequest", 0.2, "ok", name=_MESSAGES),
    ),
    "NoticeTasksSilent": silent("telegram.tasks.send_messages"),
    "OutboxWaits": gauge("outbox_oldest_age_seconds", 301, 299),
    "OutboxFailed": gauge("outbox_failed", 1, 0),
    "PoolExhausted": Case(
        {'db_pool_errors_total{job="worker"}': "0+1x90"},
        {'db_pool_errors_total{job="worker"}': "5x90"},
        {"job": "worker"},
    ),
    "PoolNearlyFull": Case(
        {
            'db_pool_connections{job="backend",state="used"}': "31x90",
            'db_pool_connections{job="backend",state="idle"}': "1x90",
            'db_pool_connections_max{job="backend"}': "32x90",
        },
        {
            'db_pool_connections{job="backend",state="used"}': "16x90",
            'db_pool_connections{job="backend",state="idle"}': "16x90",
            'db_pool_connections_max{job="backend"}': "32x90",
        },
        {"job": "backend"},
    ),
    "ConnectionsNearlyOut": Case(
        {
            'postgres_connections{instance="a",application="advertmarket-web"}': "77x90",
            'postgres_connections{instance="a",application="psql"}': "3x90",
            'postgres_connections_max{instance="a"}': "100x90",
        },
        {
            'postgres_connections{instance="a",application="advertmarket-web"}': "79x90",
            'postgres_connections_max{instance="a"}': "100x90",
        },
        {"instance": "a"},
    ),
    "LongTransaction": gauge("postgres_oldest_transaction_seconds", 901, 899),
    "ConsumerLag": Case(
        {
            'kafka_consumer_lag{group="g",topic="t",partition="0"}': "300x90",
            'kafka_consumer_lag{group="g",topic="t",partition="1"}': "200x90",
        },
        {
            'kafka_consumer_lag{group="g",topic="t",partition="0"}': "499x90",
            'kafka_consumer_lag{group="h",topic="deal.events",partition="0"}': "1999x90",
        },
        {"group": "g"},
    ),
    "ConsumerLagGrows": Case(
        {'kafka_consumer_lag{group="g",topic="t",partition="0"}': "101+1x90"},
        {'kafka_consumer_lag{group="g",topic="t",partition="0"}': "400-1x90"},
        {"group": "g"},
    ),
    "ConsumerStalled": gauge("kafka_consumer_stalled_seconds", 601, 599, group="g"),
    "ConsumerStopped": gauge("kafka_consumer_stopped", 1, 0, group="g"),
    "ConsumerSilent": Case(
        {'kafka_consumer_heartbeat_timestamp_seconds{group="g"}': "0x90"},
        {'kafka_consumer_heartbeat_timestamp_seconds{group="g"}': "0+60x90"},
        {"group": "g"},
    ),
    "DeadLetters": Case(
        {'kafka_consumer_records_total{group="g",outcome="dead_letter"}': "0x85 1x10"},
        {'kafka_consumer_records_total{group="g",outcome="handled"}': "0+1x90"},
        {"group": "g"},
    ),
    "RedisDown": gauge("redis_up", 0, 1),
    "EpochLost": Case(
        {"payouts_epoch_confirmed": "0x90", "redis_up": "1x90"},
        {"payouts_epoch_confirmed": "0x90", "redis_up": "0x90"},
    ),
    "CheckFailedCritical": gauge(_FAILED, 1, 0, **_CHECK, severity="CRITICAL"),
    "CheckFailedHigh": gauge(_FAILED, 1, 0, **_CHECK, severity="HIGH"),
    "CheckFailedMedium": gauge(_FAILED, 1, 0, **_CHECK, severity="MEDIUM"),
    "CheckBlind": Case(
        {'reconciliation_check_blind{number="1",check="debits_equal_credits"}': "1x90"},
        {'reconciliation_check_blind{number="1",check="debits_equal_credits"}': "0x70 1x20"},
        _CHECK,
    ),
    "ChecksNotRun": Case(
        {
            'reconciliation_check_age_seconds{number="1"}': "301x90",
            "reconciliation_in_progress": "0x90",
        },
        {
            'reconciliation_check_age_seconds{number="1"}': "1800x90",
            "reconciliation_in_progress": "1x90",
        },
    ),
    "ReservesTooLow": Case(
        {
            'money_ton{side="held",account="WALLETS"}': "98x90",
            'money_ton{side="escrow",account="ESCROW"}': "50x90",
            'money_ton{side="owed",account="OWNER_PENDING"}': "50x90",
        },
        {
            'money_ton{side="held",account="WALLETS"}': "99.9x90",
            'money_ton{side="escrow",account="ESCROW"}': "100x90",
            'money_ton{side="own",account="COMMISSION"}': "50x90",
        },
    ),
    "DiskFilling": Case(
        {"disk_free_bytes": "19x90", "disk_size_bytes": "100x90"},
        {"disk_free_bytes": "21x90", "disk_size_bytes": "100x90"},
    ),
    "DiskNearlyFull": Case(
        {"disk_free_bytes": "9x90", "disk_size_bytes": "100x90"},
        {"disk_free_bytes": "11x90", "disk_size_bytes": "100x90"},
    ),
    "DiskFullWithinADay": Case({"disk_free_bytes": "900-1x90"}, {"disk_free_bytes": "9000-1x90"}),
    "SlotKeepsWal": gauge("postgres_slot_retained_bytes", 6e9, 4e9, slot="backup"),
    "DealsOverdue": gauge("deals_overdue_seconds", 901, 899),
    "DealStepsOverdue": gauge("deals_step_overdue_seconds", 901, 899),
    "PostChecksOverdue": gauge("deals_check_overdue_seconds", 901, 899),
    "DisputeOverdue": gauge("disputes_overdue_seconds", 1, 0),
    "TasksFail": Case(
        {'celery_task_runs_total{task="t",outcome="failure"}': "0+1x90"},
        {
            'celery_task_runs_total{task="t",outcome="failure"}': "3x90",
            'celery_task_runs_total{task="t",outcome="success"}': "0+60x90",
        },
        {"task": "t"},
    ),
}
_ALWAYS = {"Watchdog"}
_OF_PROMISES = {f"{slo.name}{burn.name}" for slo in SLOS for burn in BURNS}


def test_every_alert_has_its_case() -> None:
    assert set(alerts()) == {*CASES, *_OF_PROMISES, *_ALWAYS}


@pytest.mark.thorough
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    """Ninety minutes of each alert alone."""
    files = [write_tests_of_one(tmp_path, "Watchdog", [one_test("Watchdog", {}, [{}])])]
    for name, case in CASES.items():
        fires = one_test(name, case.fires, [case.labels])
        files.append(write_tests_of_one(tmp_path, name, [fires, one_test(name, case.quiet, [])]))

    promtool("test", "rules", *files)


@pytest.mark.thorough
@pytest.mark.parametrize("burn", BURNS, ids=lambda burn: burn.name)
def test_budgets_that_burn_too_fast_alert(burn: Burn, tmp_path: Path) -> None:
    """A fifth more than the rate fires; a fifth less, or too few, or what is over, does not."""
    minutes = int(_MINUTES[burn.long] * 1.1)
    step = 10 if burn.long == "3d" else 1
    tests = [
        _budget_test(burn, minutes, step, rate=1.2, fires=True),
        _budget_test(burn, minutes, step, rate=0.8, fires=False),
        _budget_test(burn, minutes, step, rate=1.2, fires=False, few=True),
        _budget_test(burn, minutes, step, rate=1.2, fires=False, ended=True),
    ]

    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump(file_of(tests, [FOLDER / RULES], every=step), sort_keys=False))
    promtool("test", "rules", path)


_MINUTES = {"5m": 5, "30m": 30, "1h": 60, "6h": 360, "3d": 4320}


def _budget_test(
    burn: Burn,
    minutes: int,
    step: int,
    *,
    rate: float,
    fires: bool,
    few: bool = False,
    ended: bool = False,
) -> dict[str, Any]:
    """All promises at once, each with its own events, `rate` times as bad as the alert bears."""
    series: Series = {}
    for slo in SLOS:
        bad_part = rate * burn.times * slo.budget
        events = 1_000.0
        if few:
            events = 0.5 * slo.least / (bad_part * _MINUTES[burn.long])
        series |= _events(slo, events * step, bad_part, minutes // step, ended)
    over = _MINUTES[burn.short] * 2 if ended else 0
    return {
        "interval": f"{step}m",
        "input_series": [{"series": name, "values": text} for name, text in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{minutes // step * step + over}m",
                "alertname": f"{slo.name}{burn.name}",
                "exp_alerts": (
                    [as_sent(f"{slo.name}{burn.name}", {"slo": slo.label})] if fires else []
                ),
            }
            for slo in SLOS
        ],
    }


def _events(slo: Slo, events: float, bad_part: float, steps: int, ended: bool) -> Series:
    """The events of a promise; `ended`: after that many steps none is bad any more."""
    labels = 'view="deals.api.views.DealsView",method="GET"'
    good = events * (1 - bad_part)
    after = f" {good * steps + events}+{events}x{steps}" if ended else ""
    in_time = f"0+{good}x{steps}{after}"
    every = f"0+{events}x{steps * (2 if ended else 1)}"
    if slo.name == "ApiErrors":
        name = "django_http_responses_total_by_status_view_method_total"
        errors = events * bad_part
        return {
            f'{name}{{status="200",{labels}}}': in_time,
            f'{name}{{status="500",{labels}}}': f"0+{errors}x{steps}"
            + (f" {errors * steps}x{steps}" if ended else ""),
        }
    name, le, own = {
        "ApiLatency": ("django_http_requests_latency_seconds_by_view_method", "0.5", labels),
        "DepositsCredited": ("deposit_credit_delay_seconds", "30.0", ""),
        "PayoutsConfirmed": ("settlement_confirmation_delay_seconds", "120.0", 'kind="PAYOUT"'),
        "NoticesSent": ("notification_delay_seconds", "5.0", ""),
    }[slo.name]
    bucket = f'le="{le}"' + (f",{own}" if own else "")
    return {f"{name}_count{{{own}}}": every, f"{name}_bucket{{{bucket}}}": in_time}
