"""What the bot tells Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter(
    "telegram_calls_total",
    "Calls to the Bot API, by outcome: ok or the error",
    ["method", "outcome"],
)
DURATION_S = Histogram(
    "telegram_call_duration_seconds",
    "How long the Bot API took to answer, or not to",
    ["method"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 30),
)
TOKEN_REFUSED = Gauge(
    "telegram_token_refused",
    "1 while Telegram refuses the bot's token",
    multiprocess_mode="mostrecent",
)
WEBHOOK_CALLS = Counter("telegram_webhook_calls_total", "Calls of the webhook", ["status"])
WEBHOOK_DURATION_S = Histogram(
    "telegram_webhook_duration_seconds",
    "How long it took to keep an update",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
WEBHOOK_PENDING = Gauge(
    "telegram_webhook_pending",
    "Updates that Telegram still holds, as it said within the last minute",
    multiprocess_mode="mostrecent",
)
WEBHOOK_ERROR_AGE_S = Gauge(
    "telegram_webhook_error_age_seconds",
    "Time since Telegram last failed to reach the webhook; -1: it never did",
    multiprocess_mode="mostrecent",
)
MESSAGES = Counter(
    "telegram_messages_total",
    "Attempts to deliver messages to people, by outcome: ok, Forbidden (403), TooManyRequests"
    " (429), BadRequest (400), Unauthorized (401), TelegramAway, NotOurTurn (a limit of our own)",
    ["outcome"],
)
NOTICE_DELAY_S = Histogram(
    "notification_delay_seconds",
    "From an event, or since its person opened the chat again, until Telegram had the notice",
    buckets=(0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600),
)
