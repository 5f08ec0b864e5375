"""What every process of the product does first."""

from __future__ import annotations

from django.conf import settings

from .environment import refuse


def begin(role: str) -> None:
    """Say that this process does the work of `role`.

    One whose PROCESS_ROLE is another ends with exit code 78: it would have the wrong secrets.
    """
    if role != settings.PROCESS_ROLE:
        refuse("PROCESS_ROLE", f"is {settings.PROCESS_ROLE}, but this is the work of the {role}")
