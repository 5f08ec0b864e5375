"""The settings of this process's role, beyond those without which it does not start."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks

from advertmarket.ton_address import InvalidTonAddress, parse_address

from .verdicts import Failed


def look_at_settings() -> str:
    """What is needed is there, addresses are public ones, and no demo's times are left."""
    problems = list(_problems())
    if problems:
        raise Failed("; ".join(problems), "")
    return f"complete for the role {settings.PROCESS_ROLE}"


def _problems() -> Iterator[str]:
    found = checks.run_checks(include_deployment_checks=True)
    yield from (f"{one.id}: {one.msg}" for one in found if one.level >= checks.WARNING)
    for name in ("PUBLIC_URL", "MINI_APP_URL"):
        if not getattr(settings, name).startswith("https://"):
            yield f"{name} is not https"
    if (host := urlsplit(settings.PUBLIC_URL).hostname) not in settings.ALLOWED_HOSTS:
        yield f"ALLOWED_HOSTS lacks {host}"
    if settings.TON_NETWORK == "mainnet" and settings.DEADLINE_SCALE != 1:
        yield f"DEADLINE_SCALE is {settings.DEADLINE_SCALE:g} where real money is"
    if cold := settings.TREASURY_COLD_ADDRESS:
        try:
            parse_address(cold, network=settings.TON_NETWORK)
        except InvalidTonAddress as refusal:
            yield f"TREASURY_COLD_ADDRESS: {refusal}"
