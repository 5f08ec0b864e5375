"""What every process of the product does first."""

from __future__ import annotations

import os

from django.conf import settings
from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from .environment import refuse


def begin(role: str) -> None:
    """Say that this process does the work of `role`; its metrics are served on METRICS_PORT.

    One whose PROCESS_ROLE is another ends with exit code 78: it would have the wrong secrets.
    """
    if role != settings.PROCESS_ROLE:
        refuse("PROCESS_ROLE", f"is {settings.PROCESS_ROLE}, but this is the work of the {role}")
    if settings.METRICS_PORT:
        start_http_server(settings.METRICS_PORT, registry=_registry())


def _registry() -> CollectorRegistry:
    """Return what this process counted, or this and its children: the web role has several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # the library's
    return together
