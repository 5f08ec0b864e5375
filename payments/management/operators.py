"""Operators that a command line names."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from advertmarket.actors import Actor


def active_operator(username: str) -> Actor:
    """Return the operator of this name.

    Raises:
        CommandError: there is none, or no active one.
    """
    operator = get_user_model().objects.filter(username=username, is_active=True).first()
    if operator is None:
        raise CommandError(f"there is no active operator {username}")
    return Actor.operator(operator.pk)
