"""What stands now and what needs a person: for a terminal at night, and for operators in Telegram.

It needs PostgreSQL alone. Whatever else is asked has its limit, and is told as away.
"""

from __future__ import annotations

from .look import situation
from .section import Section

__all__ = ["Section", "situation"]
