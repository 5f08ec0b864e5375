"""Redis' state at another address than the settings', in this process."""

from __future__ import annotations

from pytest_django.fixtures import Settings


def state_at(settings: Settings, url: str) -> None:
    """Let the pause flag, heartbeats and limits be asked for at `url` until the test ends."""
    settings.REDIS_STATE_URL = url
    settings.CACHES = {
        **settings.CACHES,
        "state": {**settings.CACHES["state"], "LOCATION": url},
    }
