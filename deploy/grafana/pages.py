"""The three dashboards: API, Money, Infrastructure."""

from __future__ import annotations

from deploy.prometheus.slos import API as API_VIEWS
from deploy.prometheus.slos import SLOS, ratio

from .model import Dashboard, Panel, Row, lines, stat

_SECONDS, _SHARE, _TON, _PER_S = "s", "percentunit", "suffix: TON", "ops"
_LATENCY = "django_http_requests_latency_seconds_by_view_method"
_ANSWERS = "django_http_responses_total_by_status_view_method_total"


def _quantile(q: float, histogram: str, matchers: str = "", by: str = "") -> str:
    braces = f"{{{matchers}}}" if matchers else ""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket{braces}[5m])))"


def _quantiles(title: str, histogram: str, matchers: str = "") -> Panel:
    """Return a panel of how long half, most and nearly all took."""
    return lines(
        title,
        *((_quantile(q, histogram, matchers), f"{q:.0%}") for q in (0.5, 0.95, 0.99)),
        unit=_SECONDS,
    )


def _rate(title: str, counter: str, *by: str, matchers: str = "", per_hour: bool = False) -> Panel:
    """Return a panel of how often something happened."""
    braces = f"{{{matchers}}}" if matchers else ""
    labels = ", ".join(by)
    counted = f"increase({counter}{braces}[1h])" if per_hour else f"rate({counter}{braces}[5m])"
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return lines(
        title, (f"sum by ({labels}) ({counted})", legend), unit="short" if per_hour else _PER_S
    )


def _gauge(title: str, name: str, *by: str, unit: str = "short") -> Panel:
    """Return a panel of a gauge that more than one watch may show."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by) or title
    labels = f" by ({', '.join(by)})" if by else ""
    return lines(title, (f"max{labels} ({name})", legend), unit=unit)


def _promises(*names: str) -> Row:
    """Return how much of each promise's budget went: red where an hour's share burns too fast."""
    chosen = [slo for slo in SLOS if slo.name in names]
    return Row(
        "Promises",
        tuple(
            stat(
                f"{slo.label.replace('_', ' ').capitalize()}: broken, last {window}",
                ratio(slo, window),
                unit=_SHARE,
                red_above=round(slo.budget * times, 6),
                says=slo.promise,
            )
            for slo in chosen
            for window, times in (("1h", 14.4), ("6h", 6), ("3d", 1))
        ),
    )


API = Dashboard(
    "advertmarket-api",
    "API",
    (
        _promises("ApiErrors", "ApiLatency"),
        Row(
            "Requests",
            (
                _rate("Answers by status", _ANSWERS, "status", matchers=API_VIEWS),
                _quantiles("Latency", _LATENCY, API_VIEWS),
                _rate("Busiest views", _ANSWERS, "view", matchers=API_VIEWS),
                lines(
                    "Slowest views, 95 %",
                    (f"topk(10, {_quantile(0.95, _LATENCY, API_VIEWS, 'view')})", "{{view}}"),
                    unit=_SECONDS,
                ),
                _rate("Errors of ours by view", _ANSWERS, "view", matchers='status=~"5.."'),
                _rate("Refusals by view", _ANSWERS, "view", "status", matchers='status=~"4.."'),
            ),
        ),
        Row(
            "Telegram's webhook",
            (
                _rate("Calls by answer", "telegram_webhook_calls_total", "status"),
                _quantiles("Duration", "telegram_webhook_duration_seconds"),
                _gauge("Telegram still holds", "telegram_webhook_pending"),
                lines(
                    "Since Telegram last failed to reach it",
                    ("max(telegram_webhook_error_age_seconds >= 0)", "age"),
                    unit=_SECONDS,
                ),
                _gauge("Updates to be handled", "telegram_updates_pending"),
                _gauge("Oldest of them", "telegram_updates_oldest_age_seconds", unit=_SECONDS),
                _gauge("Updates set aside", "telegram_updates_set_aside"),
            ),
        ),
        Row(
            "The Bot API",
            (
                _rate("Calls by outcome", "telegram_calls_total", "outcome"),
                _rate("Calls by method", "telegram_calls_total", "method"),
                lines(
                    "Duration by method, 95 %",
                    (_quantile(0.95, "telegram_call_duration_seconds", by="method"), "{{method}}"),
                    unit=_SECONDS,
                ),
            ),
        ),
    ),
)

_STUCK = 'state=~"QUEUED|SIGNED|SUBMITTED|NEEDS_OPERATOR"'

MONEY = Dashboard(
    "advertmarket-money",
    "Money",
    (
        Row(
            "Now",
            (
                stat("Payouts paused", "max(payouts_paused)", red_above=1),
                stat(
                    "Oldest transfer that waits for us",
                    f"max(settlements_payable_age_seconds{{{_STUCK}}}) or vector(0)",
                    unit=_SECONDS,
                    red_above=3600,
                ),
                stat(
                    "Transfers that need an operator",
                    'sum(max by (kind) (settlements_open{state="NEEDS_OPERATOR"})) or vector(0)',
                    red_above=1,
                ),
                stat("Frozen wallets", "max(wallets_frozen)", red_above=1),
                stat(
                    "Checks of the books that fail",
                    "sum(max by (check) (reconciliation_check_failed))",
                    red_above=1,
                ),
                stat(
                    "Chain booked up to, ago",
                    "max(ton_cursor_age_seconds)",
                    unit=_SECONDS,
                    red_above=120,
                ),
                stat(
                    "Own wallets hold", 'max(sum by (instance) (money_ton{side="held"}))', unit=_TON
                ),
                stat("In escrow", 'max(sum by (instance) (money_ton{side="escrow"}))', unit=_TON),
                stat(
                    "Owed to others", 'max(sum by (instance) (money_ton{side="owed"}))', unit=_TON
                ),
                stat("Nobody's", 'max(sum by (instance) (money_ton{side="nobodys"}))', unit=_TON),
                stat(
                    "The platform's own",
                    'max(sum by (instance) (money_ton{side="own"}))',
                    unit=_TON,
                ),
                stat("Treasury, for gas", "max(treasury_ton)", unit=_TON, red_below=1),
                stat(
                    "Deposits for an operator",
                    'max(deposits_waiting{state="REVIEW"})',
                    red_above=1,
                ),
                stat("Unclaimed payouts", "max(payouts_unclaimed)"),
            ),
        ),
        _promises("DepositsCredited", "PayoutsConfirmed"),
        Row(
            "What happens",
            (
                _rate("Deposits an hour", "deposits_total", "step", per_hour=True),
                _rate("Transfers an hour", "settlements_total", "kind", "state", per_hour=True),
                _rate("Journals an hour", "ledger_journals_total", "kind", per_hour=True),
                _quantiles("Deposit credited after finality", "deposit_credit_delay_seconds"),
                _quantiles(
                    "Payout or refund confirmed",
                    "settlement_confirmation_delay_seconds",
                    'kind=~"PAYOUT|REFUND"',
                ),
                _rate(
                    "Moves of deals an hour", "deal_transitions_total", "to_status", per_hour=True
                ),
            ),
        ),
        Row(
            "What waits",
            (
                _gauge("Open transfers", "settlements_open", "kind", "state"),
                _gauge("What they owe", "settlements_open_ton", "kind", "state", unit=_TON),
                _gauge(
                    "Oldest, in its state",
                    "settlements_oldest_age_seconds",
                    "kind",
                    "state",
                    unit=_SECONDS,
                ),
                _gauge(
                    "Oldest, waiting for us",
                    "settlements_payable_age_seconds",
                    "kind",
                    "state",
                    unit=_SECONDS,
                ),
                _gauge("Deposits that wait", "deposits_waiting", "state"),
                _gauge("Oldest deposit", "deposits_oldest_age_seconds", "state", unit=_SECONDS),
                _gauge("Deals by status", "deals", "status"),
                _gauge("Oldest deal", "deals_oldest_age_seconds", "status", unit=_SECONDS),
                _gauge("Deals held for an operator", "deals_held", "status"),
                lines(
                    "Overdue",
                    ("max(deals_overdue_seconds)", "deadline"),
                    ("max(deals_step_overdue_seconds)", "address or publication"),
                    ("max(deals_check_overdue_seconds)", "look at a post"),
                    ("max(disputes_overdue_seconds)", "dispute"),
                    unit=_SECONDS,
                ),
                lines(
                    "Disputes",
                    ("max(disputes_open)", "open"),
                ),
                _gauge("Oldest dispute", "disputes_oldest_age_seconds", unit=_SECONDS),
                _gauge(
                    "Oldest unclaimed payout",
                    "payouts_unclaimed_oldest_age_seconds",
                    unit=_SECONDS,
                ),
            ),
        ),
        Row(
            "Books",
            (
                _gauge("Balances", "money_ton", "side", "account", unit=_TON),
                _gauge("Findings by check", "reconciliation_check_findings", "number", "check"),
                _gauge("Checks that cannot look", "reconciliation_check_blind", "number", "check"),
                _gauge(
                    "How long checks take",
                    "reconciliation_check_duration_seconds",
                    "number",
                    unit=_SECONDS,
                ),
                _gauge(
                    "How long ago they ran",
                    "reconciliation_check_age_seconds",
                    "number",
                    unit=_SECONDS,
                ),
            ),
        ),
        Row(
            "TON",
            (
                _rate("Calls by outcome", "ton_calls_total", "outcome"),
                lines(
                    "Duration by method, 95 %",
                    (_quantile(0.95, "ton_call_duration_seconds", by="method"), "{{method}}"),
                    unit=_SECONDS,
                ),
                _gauge("Refused unasked (breaker)", "ton_breaker_open", "job"),
                _gauge("Blocks not booked", "ton_cursor_blocks_behind"),
                _gauge("Last booked a block, ago", "ton_cursor_read_age_seconds", unit=_SECONDS),
                _gauge("Addresses in stock", "wallets_ready"),
            ),
        ),
    ),
)

INFRASTRUCTURE = Dashboard(
    "advertmarket-infrastructure",
    "Infrastructure",
    (
        Row(
            "Processes",
            (
                lines("Answering", ("sum by (job) (up)", "{{job}}")),
                lines(
                    "Restarts an hour",
                    ("sum by (job) (changes(process_start_time_seconds[1h]))", "{{job}}"),
                ),
                lines(
                    "What runs",
                    ("sum by (role, version, commit) (build_info)", "{{role}} {{commit}}"),
                ),
                lines(
                    "Memory",
                    ("sum by (job) (process_resident_memory_bytes)", "{{job}}"),
                    unit="bytes",
                ),
                lines(
                    "Processor",
                    ("sum by (job) (rate(process_cpu_seconds_total[5m]))", "{{job}}"),
                    unit=_SHARE,
                ),
                lines("Open files", ("sum by (job) (process_open_fds)", "{{job}}")),
            ),
        ),
        Row(
            "PostgreSQL",
            (
                lines(
                    "Pools, used",
                    ('sum by (job) (db_pool_connections{state="used"})', "{{job}}"),
                    ("sum by (job) (db_pool_connections_max)", "{{job}}: most"),
                ),
                lines(
                    "Waiting for a connection",
                    ("sum by (job) (db_pool_requests_waiting)", "{{job}}"),
                ),
                _rate("Got no connection", "db_pool_errors_total", "job"),
                lines(
                    "Mean wait for a connection",
                    (
                        "sum by (job) (rate(db_pool_wait_seconds_total[5m]))"
                        " / sum by (job) (rate(db_pool_requests_total[5m]))",
                        "{{job}}",
                    ),
                    unit=_SECONDS,
                ),
                lines(
                    "Connections",
                    ("max by (application) (postgres_connections)", "{{application}}"),
                    ("max(postgres_connections_max)", "most"),
                ),
                _gauge(
                    "Oldest database transaction",
                    "postgres_oldest_transaction_seconds",
                    unit=_SECONDS,
                ),
                _gauge("Size of the database", "postgres_database_bytes", unit="bytes"),
                _gauge("WAL kept for slots", "postgres_slot_retained_bytes", "slot", unit="bytes"),
                lines(
                    "Disk",
                    ("min(disk_free_bytes)", "free"),
                    ("max(disk_size_bytes)", "size"),
                    unit="bytes",
                ),
            ),
        ),
        Row(
            "Redis and tasks",
            (
                lines(
                    "Redis",
                    ("max(redis_up)", "can be read"),
                    ("max(payouts_epoch_confirmed)", "has the confirmed epoch"),
                ),
                _rate("Runs of tasks", "celery_task_runs_total", "task"),
                _rate(
                    "Runs that fail", "celery_task_runs_total", "task", matchers='outcome="failure"'
                ),
                lines(
                    "Duration by task, 95 %",
                    (_quantile(0.95, "celery_task_duration_seconds", by="task"), "{{task}}"),
                    unit=_SECONDS,
                ),
                lines(
                    "Last success, ago",
                    (
                        "time() - max by (task) (celery_task_last_success_timestamp_seconds)",
                        "{{task}}",
                    ),
                    unit=_SECONDS,
                ),
            ),
        ),
        Row(
            "Kafka",
            (
                lines("Lag", ("sum by (group) (kafka_consumer_lag)", "{{group}}")),
                lines(
                    "Time to drain",
                    (
                        "sum by (group) (kafka_consumer_lag)"
                        " / sum by (group) (rate(kafka_consumer_records_total[5m]))",
                        "{{group}}",
                    ),
                    unit=_SECONDS,
                ),
                _rate("Records by outcome", "kafka_consumer_records_total", "group", "outcome"),
                lines(
                    "Duration of a record, 95 %",
                    (
                        _quantile(0.95, "kafka_consumer_record_duration_seconds", by="group"),
                        "{{group}}",
                    ),
                    unit=_SECONDS,
                ),
                lines(
                    "Standing still",
                    ("max by (group) (kafka_consumer_stalled_seconds)", "{{group}}"),
                    unit=_SECONDS,
                ),
                lines("Stopped", ("max by (group) (kafka_consumer_stopped)", "{{group}}")),
                lines(
                    "Last sign of life, ago",
                    (
                        "time() - max by (group) (kafka_consumer_heartbeat_timestamp_seconds)",
                        "{{group}}",
                    ),
                    unit=_SECONDS,
                ),
                _gauge("Dead letters", "dead_letters", "group"),
                _rate("Outbox rows by outcome", "outbox_records_total", "outcome"),
                lines(
                    "Outbox",
                    ("max(outbox_pending)", "pending"),
                    ("max(outbox_failed)", "failed"),
                ),
                _gauge("Oldest in the outbox", "outbox_oldest_age_seconds", unit=_SECONDS),
            ),
        ),
        _promises("NoticesSent"),
        Row(
            "Notices",
            (
                _quantiles("From the event to Telegram", "notification_delay_seconds"),
                _rate("Attempts by outcome", "telegram_messages_total", "outcome"),
                lines(
                    "Messages",
                    ("max(telegram_outgoing_pending)", "to be sent"),
                    ("max(telegram_outgoing_unsent)", "given up, or the chat is closed"),
                ),
                _gauge("Oldest to be sent", "telegram_outgoing_oldest_age_seconds", unit=_SECONDS),
            ),
        ),
        Row(
            "Reading of the state",
            (
                _gauge("Not read", "state_read_failed", "source"),
                _gauge("Duration", "state_read_duration_seconds", "source", unit=_SECONDS),
            ),
        ),
    ),
)

DASHBOARDS = (API, MONEY, INFRASTRUCTURE)
