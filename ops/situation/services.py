"""What runs beside PostgreSQL: each is asked for at most 2 s, all at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from ops.health.checks import CHECKS
from ops.health.probes import Answer, Probes

from .section import Section

_probes = Probes(CHECKS)


def tell_services() -> list[Section]:
    """Return how each service and the work of each process is."""
    names = ["redis", "kafka", "ton", "telegram", "workers", "outbox", "disk"]
    if not settings.TELEGRAM_BOT_TOKEN:
        names.remove("telegram")
    return [_section(name, answer) for name, answer in _probes.ask(names).items()]


def _section(name: str, answer: Answer) -> Section:
    if answer.problem and not answer.details:
        return Section(name, _("AWAY: {problem}").format(problem=answer.problem), needs_person=True)
    says = answer.problem or _("well")
    return Section(name, says, bool(answer.problem), tuple(_lines(name, answer.details)))


def _lines(name: str, details: dict[str, Any]) -> Iterator[str]:
    if "latencyMs" in details:
        yield f"answered in {details['latencyMs']} ms"
    if name == "workers":
        for group, told in details["groups"].items():
            yield f"{group}: {told['instances']} alive, lag {told['lag']}"
        for table, due in details["due"].items():
            yield f"due {table}: {due['count']}, the oldest for {due['oldestS']:.0f} s"
        yield "queues: " + ", ".join(f"{q} {n}" for q, n in details["queues"].items())
    if name == "outbox":
        yield f"pending {details['pending']}, the oldest for {details['oldestS']:.0f} s"
    if name == "disk":
        yield f"{details['usedPercent']} % used, {details['freeBytes'] / 10**9:.1f} GB free"
