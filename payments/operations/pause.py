"""The pause of all payouts, and its end."""

from __future__ import annotations

import datetime as dt
from typing import Any

from advertmarket.actors import Actor
from payments.sending import pause

from .registry import FourEyes, Number, Payload, operation


class Nothing(Payload):
    """There is nothing to say but why."""


class APause(Payload):
    """A pause, by the number that the operator saw."""

    pause: Number

    def needs_second(self) -> bool:
        """Whether the platform paused by itself: then something was wrong with the money.

        A pause that is being committed counts, and from here on none is changed but by us.
        """
        pause.hold()
        return pause.takes_two()


@operation("payouts.pause", Nothing)
def stop(payload: Nothing, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime) -> None:
    """Stop every broadcast of money."""
    pause.pause(actor=actor, reason=reason, at=at)


@operation("payouts.resume", APause, four_eyes=FourEyes.AFTER_ALARM)
def go_on(payload: APause, *, evidence: Any, reason: str, actor: Actor, at: dt.datetime) -> None:
    """Lift the pause that the operator saw.

    Raises:
        DomainError: as `pause.resume`.
    """
    pause.resume(actor=actor, reason=reason, at=at, seen=payload.pause)
