"""Whether this installation can do its work: what is looked at before people are let in."""

from __future__ import annotations

from .look import NAMES, Told, look
from .verdicts import Verdict

__all__ = ["NAMES", "Told", "Verdict", "look"]
