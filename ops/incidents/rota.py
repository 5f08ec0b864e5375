"""Who is to be woken: the people of the rota in their order, or everybody who is linked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from accounts.selectors import (
    OperatorView,
    get_operator,
    operator_named,
    operator_of_chat,
    operators_in_telegram,
)
from advertmarket.actors import Actor
from advertmarket.audit import services as audit
from advertmarket.db import hold_name, requires_transaction
from advertmarket.errors import Code, DomainError
from ops.models import RotaEntry


class NoSuchPerson(DomainError):
    """No active operator has this name."""

    code: ClassVar[Code] = Code.NOT_FOUND
    message = _("There is no active operator {username}.")


class NotReachable(DomainError):
    """An alarm for this person would go nowhere."""

    message = _("{username} has neither a Telegram account (link_operator) nor an e-mail address.")


class NamedTwice(DomainError):
    """A person has one place in the rota."""

    code: ClassVar[Code] = Code.VALIDATION_FAILED
    message = _("{username} is named twice.")


@dataclass(frozen=True)
class Person:
    """Somebody to be woken, and by what."""

    operator: OperatorView
    email: str


def people(*, level: int) -> list[Person]:
    """Return whom to wake after so many escalations: one person of the rota more each time.

    Without a rota, or if nobody in it may act any more, it is every linked operator.
    """
    entries = RotaEntry.objects.order_by("position")
    found = [(get_operator(entry.operator_id), entry.email) for entry in entries]
    rota = [Person(operator, email) for operator, email in found if operator is not None]
    return rota[: level + 1] or _everybody()


def _everybody() -> list[Person]:
    linked = [operator_of_chat(chat_id) for chat_id, _language in operators_in_telegram()]
    return [Person(operator, "") for operator in linked if operator is not None]


def levels() -> int:
    """Return how many escalations it takes until everybody is told, and one."""
    return max(1, RotaEntry.objects.count())


@requires_transaction
def set_rota(*, entries: Sequence[tuple[str, str]], actor: Actor, at: dt.datetime) -> None:
    """Make these (username, e-mail or nothing) the rota, in this order; none: everybody at once.

    Raises:
        NoSuchPerson, NotReachable, NamedTwice: nothing has changed.
    """
    hold_name("rota")
    before = [entry.operator.get_username() for entry in _entries()]
    new = [_entry(position, *entry) for position, entry in enumerate(entries, 1)]
    names = [username for username, _email in entries]
    if twice := {name for name in names if names.count(name) > 1}:
        raise NamedTwice(username=min(twice))
    RotaEntry.objects.all().delete()
    RotaEntry.objects.bulk_create(new)
    audit.record(
        actor=actor,
        action="rota.set",
        object_type="rota",
        object_id="1",
        before={"people": before},
        after={"people": names},
        at=at,
    )


def _entries() -> list[RotaEntry]:
    return list(RotaEntry.objects.select_related("operator").order_by("position"))


def _entry(position: int, username: str, email: str) -> RotaEntry:
    operator = operator_named(username)
    if operator is None:
        raise NoSuchPerson(username=username)
    if operator.telegram_id is None and not email:
        raise NotReachable(username=username)
    return RotaEntry(position=position, operator_id=operator.id, email=email)
