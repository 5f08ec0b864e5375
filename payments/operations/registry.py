"""The operations that operators may ask for, by name, with what each needs to know."""

from __future__ import annotations

import datetime as dt
import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

from django.conf import settings
from django.utils.module_loading import autodiscover_modules
from pydantic import BaseModel, ConfigDict, Field, field_validator

from accounts.services import MAX_COMMENT_BYTES, CommentTooLong, mask_address
from advertmarket.actors import Actor
from advertmarket.money import MAX_NANO
from advertmarket.ton_address import parse_address

P = TypeVar("P", bound="Payload")

Nano = Annotated[int, Field(strict=True, gt=0, le=MAX_NANO)]
"""An amount in nanoTON."""

NanoOrNothing = Annotated[int, Field(strict=True, ge=0, le=MAX_NANO)]
"""An amount in nanoTON that may be 0."""

Number = Annotated[int, Field(strict=True, ge=0, le=MAX_NANO)]
"""A row's number."""


class Payload(BaseModel):
    """Exactly what an operation is about; amounts in nanoTON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def amount_nano(self) -> int:
        """Return the money at stake, for the limits of what one person may do alone."""
        return 0

    def needs_second(self) -> bool:
        """Whether it takes a second person as things stand (AFTER_ALARM)."""
        return False

    def check(self) -> None:
        """Return if it may be asked for: what nobody could approve keeps no second person busy.

        Raises:
            DomainError: it would be refused, whoever approves.
        """

    def masked(self) -> dict[str, Any]:
        """Return what the audit log may show."""
        return self.model_dump(mode="json")


class ToAddress(Payload):
    """Where money goes, or went; raw as soon as it is read."""

    address: str = Field(max_length=100)

    @field_validator("address")
    @classmethod
    def _raw(cls, address: str) -> str:
        return parse_address(address, network=settings.TON_NETWORK)

    def masked(self) -> dict[str, Any]:
        """Return the payload with its address masked."""
        return {**super().masked(), "address": mask_address(self.address)}


class ToSomebody(ToAddress):
    """Where money goes, with the comment by which its recipient knows whose it is."""

    comment: str = ""

    @field_validator("comment")
    @classmethod
    def _short(cls, comment: str) -> str:
        if len(comment.encode()) > MAX_COMMENT_BYTES:
            raise CommentTooLong(limit=MAX_COMMENT_BYTES)
        return comment


class FourEyes(Enum):
    """Whether a second person must agree."""

    NEVER = "never"
    ABOVE_LIMIT = "above a limit per operation, and per operator and day"
    AFTER_ALARM = "if the platform paused by itself"
    ALWAYS = "always"


class Do(Protocol):
    """Does it, in the caller's database transaction."""

    def __call__(
        self, payload: Any, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime
    ) -> None:
        """Carry the payload out; `evidence` is what `look` found."""


@dataclass(frozen=True)
class Operation:
    """What may be asked for. `look` asks the chain beforehand, outside any database transaction."""

    name: str
    payload: type[Payload]
    four_eyes: FourEyes
    do: Do
    look: Callable[[Any], Any] | None


_operations: dict[str, Operation] = {}


def operation(
    name: str,
    payload: type[Payload],
    *,
    four_eyes: FourEyes = FourEyes.NEVER,
    look: Callable[[Any], Any] | None = None,
) -> Callable[[Do], Do]:
    """Register a function as what `name` does."""

    def register(do: Do) -> Do:
        if name in _operations:
            raise TypeError(f"operation {name} is registered twice")
        _operations[name] = Operation(name, payload, four_eyes, do, look)
        return do

    return register


def find(name: str) -> Operation:
    """Return the operation of this name.

    Raises:
        KeyError: there is none.
    """
    _discover()
    return _operations[name]


def all_operations() -> list[Operation]:
    """Return every operation, by name."""
    _discover()
    return [_operations[name] for name in sorted(_operations)]


@functools.cache
def _discover() -> None:
    autodiscover_modules("operations")
    package = __name__.rpartition(".")[0]
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{package}.{module.name}")
