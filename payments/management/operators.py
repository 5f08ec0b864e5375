"""Operators that a command line names."""

from __future__ import annotations

from django.core.management.base import CommandError

from accounts.selectors import operator_named
from advertmarket.actors import Actor


def active_operator(username: str) -> Actor:
    """Return the operator of this name.

    Raises:
        CommandError: there is none, or no active one.
    """
    operator = operator_named(username)
    if operator is None:
        raise CommandError(f"there is no active operator {username}")
    return Actor.operator(operator.id)
