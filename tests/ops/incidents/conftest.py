"""Operators to wake, a clock that tests move, causes that tests make, and what alarms reach."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django import Settings

from accounts import services as accounts
from accounts.models import Operator
from advertmarket.actors import Actor
from ops.incidents import rota
from ops.incidents.causes import Cause
from ops.incidents.detectors import Detector
from ops.incidents.follow import Memory, Sighting, follow
from sandbox.telegram.control import Telegram
from tests.local_telegram import local_telegram
from tests.operators import hire
from tests.ops.incidents.mailbox import Mailbox
from tests.ops.incidents.outside import Hook, serving

VERA, BORIS, STRANGER = 7001, 7002, 7003
"""Telegram accounts: two operators', Vera's in English and Boris' in Russian, and somebody's."""

ACTOR = Actor.system("test")


class Clock:
    """Stands still until told to move."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def __call__(self) -> dt.datetime:
        return self.now

    def move(self, **duration: float) -> dt.datetime:
        """Move on by `seconds=`, `minutes=`, …; return the new time."""
        self.now += dt.timedelta(**duration)
        return self.now


class Trouble:
    """A detector that sees what a test tells it to, or raises it; and what follows from that."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.causes: list[Cause] = []
        self.error: Exception | None = None
        self.memory = Memory()

    @property
    def detector(self) -> Detector:
        """For a lookout."""
        return Detector("trouble", 0, self._look)

    def seen(self, *causes: Cause) -> bool:
        """Take a turn in which exactly these are seen; return whether all could be written."""
        return not follow(Sighting(self.clock(), {"trouble": causes}), self.memory)

    def untold(self) -> bool:
        """Take a turn in which the detector cannot tell."""
        return not follow(Sighting(self.clock(), {}), self.memory)

    def _look(self) -> Iterator[Cause]:
        if self.error is not None:
            raise self.error
        yield from self.causes


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def trouble(clock: Clock) -> Trouble:
    return Trouble(clock)


@pytest.fixture
def hook(settings: Settings) -> Iterator[Hook]:
    """The hook that the settings name; it hears English."""
    settings.ALERT_LANGUAGE = "en"
    with Hook() as server, serving(server):
        settings.ALERT_HOOK_URL = server.url
        yield server


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    """The mail server that the settings name; who gets mail, a test says."""
    with Mailbox() as server, serving(server):
        settings.ALERT_SMTP_HOST, settings.ALERT_SMTP_PORT = "127.0.0.1", server.port
        settings.ALERT_SMTP_SECURITY = "none"
        yield server


@pytest.fixture
def telegram(tmp_path: Path, settings: Settings) -> Iterator[Telegram]:
    with local_telegram(tmp_path, settings) as telegram:
        telegram.create_user(VERA, "Vera", language_code="en", started=True)
        telegram.create_user(BORIS, "Boris", language_code="ru", started=True)
        telegram.create_user(STRANGER, "Somebody", language_code="en", started=True)
        yield telegram


def make_operator(username: str, telegram_id: int | None = None, language: str = "en") -> Actor:
    """An operator, linked to a Telegram account or not."""
    now = timezone.now()
    pk = hire(username, superuser=True)
    if telegram_id is not None:
        with transaction.atomic():
            accounts.link_operator(
                username=username,
                telegram_id=telegram_id,
                language=language,
                actor=ACTOR,
                at=now,
            )
    return Actor.operator(pk)


def make_vera() -> Actor:
    """The first of the two operators."""
    return make_operator("vera", VERA)


def make_boris() -> Actor:
    """The second of the two operators."""
    return make_operator("boris", BORIS, "ru")


def set_rota(*entries: str, emails: Sequence[str] = ()) -> None:
    """These are woken, in this order."""
    emails = [*emails, *[""] * (len(entries) - len(emails))]
    with transaction.atomic():
        rota.set_rota(
            entries=list(zip(entries, emails, strict=True)), actor=ACTOR, at=timezone.now()
        )


def name_of(actor: Actor) -> str:
    """An operator's username."""
    return Operator.objects.get(pk=actor.id).username
