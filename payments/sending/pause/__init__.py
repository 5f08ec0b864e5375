"""The switch that stops every broadcast of money: reading it, and changing it."""

from __future__ import annotations

from .changing import (
    EpochDoesNotStand,
    NotPaused,
    PausedAnew,
    PauseNotReadable,
    SecondOperatorNeeded,
    confirm_epoch,
    hold,
    pause,
    require_two,
    resume,
    watch_pause,
)
from .reading import (
    EPOCH_KEY,
    HEARD_KEY,
    PAUSE_KEY,
    PauseState,
    PayoutsPaused,
    pause_reason,
    pause_state,
    refuse_if_paused,
    takes_two,
)

__all__ = [
    "EPOCH_KEY",
    "HEARD_KEY",
    "PAUSE_KEY",
    "EpochDoesNotStand",
    "NotPaused",
    "PauseNotReadable",
    "PauseState",
    "PausedAnew",
    "PayoutsPaused",
    "SecondOperatorNeeded",
    "confirm_epoch",
    "hold",
    "pause",
    "pause_reason",
    "pause_state",
    "refuse_if_paused",
    "require_two",
    "resume",
    "takes_two",
    "watch_pause",
]
