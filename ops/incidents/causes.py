"""What a detector sees: a cause that holds now, with the figures that people need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, reverse

from advertmarket.logging import Redaction

from .kinds import KINDS, Kind

_LONGEST = 400
"""Letters of one fact: an alert must stay readable, and within Telegram's 4,096."""


@dataclass(frozen=True)
class Cause:
    """One thing that is wrong now.

    `key` tells causes of one kind apart. `since`: since when it holds, if the detector knows.
    `page` is the object's page in the admin. `level`: how many people of the rota beyond the first
    are told at once. `subjects` name the things it is about, and `found` counts them, where more of
    them than people were told of are news. `hidden_by`: kinds that explain this one cause, besides
    those that explain all of its kind.
    """

    name: str
    key: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    since: dt.datetime | None = None
    page: str = ""
    level: int = 0
    subjects: Collection[str] = ()
    found: int = 0
    hidden_by: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return KINDS[self.name]

    @property
    def explained_by(self) -> tuple[str, ...]:
        """The kinds of which it may be the consequence."""
        return self.kind.hidden_by + self.hidden_by

    @property
    def id(self) -> str:
        """What makes it one cause, however often it is seen."""
        return f"{self.name}:{self.key}" if self.key else self.name

    def shown(self) -> dict[str, Any]:
        """Return the facts without secrets, addresses masked, each of a readable length."""
        return {name: fit_to_show(value) for name, value in self.facts.items()}


def fit_to_show(value: object) -> object:
    """Return a fact, or a part of one, as anybody may read it and PostgreSQL may keep it."""
    if not isinstance(value, str):
        return value
    storable = value.replace("\0", "").encode(errors="replace").decode()
    shown = Redaction(settings.SECRET_VALUES)(None, "", storable)
    return f"{shown[:_LONGEST]}…" if len(shown) > _LONGEST else shown


def moment(at: dt.datetime | None) -> str:
    """Return a time as alerts show it."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if at else "—"


def page_of(model: str, pk: object) -> str:
    """Return the path of an object's page in the admin; `model` is "app_model"."""
    return _path(f"admin:{model}_change", pk)


def list_of(model: str) -> str:
    """Return the path of a model's list in the admin."""
    return _path(f"admin:{model}_changelist")


def _path(name: str, *arguments: object) -> str:
    """The path of a page, or nothing: no alarm is lost for a page that there is not."""
    try:
        return reverse(name, args=arguments)
    except NoReverseMatch:
        return ""
