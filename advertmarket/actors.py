"""Who did it: every service is told, and every history row says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Actor:
    """A Telegram user, an operator of the back office, or a part of the system."""

    kind: Literal["user", "operator", "system"]
    id: str

    @classmethod
    def user(cls, telegram_id: int) -> Actor:
        """The Telegram user with this id."""
        return cls("user", str(telegram_id))

    @classmethod
    def operator(cls, pk: int) -> Actor:
        """The operator with this primary key."""
        return cls("operator", str(pk))

    @classmethod
    def system(cls, name: str) -> Actor:
        """A part of the system, such as "chain-reader"."""
        return cls("system", name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"
