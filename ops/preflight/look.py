"""All looks beside each other, each with a limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from ops.health.probes import Unwell, in_own_thread

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
    futures = {name: in_own_thread(_LOOKS[name][0], limit_s=LIMIT_S) for name in asked}
    return [_told(name, future, _LOOKS[name][1]) for name, future in futures.items()]


def _told(name: str, future: Future[str], fix: str) -> Told:
    try:
        return Told(name, Verdict.PASS, future.result(LIMIT_S))
    except Skipped as reason:
        return Told(name, Verdict.SKIPPED, str(reason))
    except Failed as failure:
        return Told(name, Verdict.FAIL, str(failure), failure.fix or fix)
    except Unwell as problem:
        return Told(name, Verdict.FAIL, str(problem), fix)
    except TimeoutError:
        return Told(name, Verdict.FAIL, f"no answer in {LIMIT_S:.0f} s", fix)
    except Exception as error:  # whatever it met, it is no pass
        return Told(name, Verdict.FAIL, f"{type(error).__name__}: {error}", fix)
