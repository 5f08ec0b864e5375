"""A local Telegram with two people and a channel, and a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from sandbox.telegram.control import Telegram
from tests.local_telegram import local_telegram

ANNA, OLEG = 1001, 1002


class Clock:
    """Stands still until told to move."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def __call__(self) -> datetime:
        return self.now

    def move(self, **duration: float) -> None:
        """Move on by `seconds=`, `hours=`, …"""
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def telegram(tmp_path: Path, settings: Settings) -> Iterator[Telegram]:
    with local_telegram(tmp_path, settings) as telegram:
        telegram.create_user(ANNA, "Anna", username="anna", language_code="ru", started=True)
        telegram.create_user(OLEG, "Oleg", username="oleg", language_code="en", started=True)
        yield telegram
