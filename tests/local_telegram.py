"""A local Telegram in a process of its own, which `client.bot()` talks to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_django import Settings

from advertmarket.telegram import client
from sandbox.process import LOOPBACK, Child, free_port
from sandbox.telegram.control import Telegram


def close_bot() -> None:
    """Close this process's bot, if there is one; the next call of `bot` makes another."""
    with client._making:
        if client._make_bot.cache_info().currsize:
            client._make_bot().close()
            client._make_bot.cache_clear()


@contextmanager
def local_telegram(directory: Path, settings: Settings) -> Iterator[Telegram]:
    """Start it, point the settings to it, and stop it; its log is in `directory`."""
    port = free_port()
    child = Child(
        "telegram",
        [
            *(sys.executable, "-m", "sandbox.telegram", f"--port={port}"),
            f"--token={settings.TELEGRAM_BOT_TOKEN}",
        ],
        log=directory / "telegram.log",
    )
    child.wait_for_line("ready")
    close_bot()  # of a test that had no Telegram
    settings.TELEGRAM_API_URL = f"http://{LOOPBACK}:{port}"
    with Telegram(settings.TELEGRAM_API_URL) as control:
        yield control
    close_bot()
    child.stop()
