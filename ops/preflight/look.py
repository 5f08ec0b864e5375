"""All looks beside each other, each with a limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ops.beside import Beside, Silent
from ops.health.probes import Unwell
from ops.own_connection import on_own_connection

from . import chain, settings, stores, telegram
from .verdicts import Failed, Skipped, Verdict

LIMIT_S = 10.0
"""So long may each take: nobody waits for a page."""

Look = Callable[[], str]
"""Returns what it saw, or raises `Failed`, `Skipped`, or what it met."""

_LOOKS: dict[str, tuple[Look, str]] = {
    "settings": (settings.look_at_settings, "read the line above, and .env.example"),
    "postgresql": (stores.look_at_postgresql, "start PostgreSQL; DB_HOST, DB_PORT, DB_PASSWORD"),
    "migrations": (stores.look_at_migrations, "python manage.py migrate"),
    "redis": (stores.look_at_redis, "start Redis; REDIS_HOST, REDIS_PORT, REDISCLI_AUTH"),
    "epoch": (stores.look_at_epoch, "python manage.py confirm_epoch"),
    "kafka": (stores.look_at_kafka, "start Kafka; KAFKA_BOOTSTRAP_SERVERS"),
    "topics": (stores.look_at_topics, "python manage.py create_topics"),
    "disk": (stores.look_at_disk, "make room: docs/runbook.md"),
    "ton": (chain.look_at_ton, "TON_API_URL, TON_API_KEY; is TON Center to be reached from here?"),
    "network": (chain.look_at_network, "make TON_NETWORK and TON_API_URL agree"),
    "clock": (chain.look_at_clock, "set the host's clock: run an NTP client"),
    "wallet": (chain.look_at_wallet, "TON_WALLET_PUBLIC_KEY"),
    "bot": (telegram.look_at_bot, "TELEGRAM_BOT_TOKEN; is Telegram to be reached from here?"),
    "webhook": (telegram.look_at_webhook, "python manage.py register_webhook"),
    "verifier": (telegram.look_at_verifier, "make the bot an administrator of that channel"),
}


NAMES = tuple(_LOOKS)


@dataclass(frozen=True)
class Told:
    """How one look ended; `fix` only where it failed."""

    name: str
    verdict: Verdict
    says: str
    fix: str = ""


def look(names: Sequence[str] = ()) -> list[Told]:
    """Look at everything, or at what is named, in 10 s and a moment at most."""
    asked = names or NAMES
    jobs = {name: on_own_connection(_LOOKS[name][0], limit_s=LIMIT_S) for name in asked}
    beside: Beside[str, str] = Beside()
    seen = beside.all(jobs, limit_s=LIMIT_S)
    return [_told(name, outcome, _LOOKS[name][1]) for name, outcome in seen.items()]


def _told(name: str, outcome: str | Exception, fix: str) -> Told:
    match outcome:
        case str():
            return Told(name, Verdict.PASS, outcome)
        case Skipped():
            return Told(name, Verdict.SKIPPED, str(outcome))
        case Failed():
            return Told(name, Verdict.FAIL, str(outcome), outcome.fix or fix)
        case Unwell() | Silent():
            return Told(name, Verdict.FAIL, str(outcome), fix)
    return Told(name, Verdict.FAIL, f"{type(outcome).__name__}: {outcome}", fix)
