"""Operators who act in a terminal."""

from __future__ import annotations

import getpass
import os

from django.contrib.auth import authenticate
from django.core.management.base import CommandError

from accounts.selectors import operator_may
from advertmarket.actors import Actor

PASSWORD_VARIABLE = "OPERATOR_PASSWORD"  # noqa: S105 - a variable's name
SECOND_PASSWORD_VARIABLE = "OPERATOR_PASSWORD_SECOND"  # noqa: S105 - a variable's name


def prove_operator(
    username: str, *, permission: str | None = None, variable: str = PASSWORD_VARIABLE
) -> Actor:
    """Return the operator whose name and password these are (asked for, or in `variable`).

    Raises:
        CommandError: no active operator has them, or this one lacks the permission.
    """
    password = os.environ.get(variable) or getpass.getpass(f"Password of {username}: ")
    operator = authenticate(username=username, password=password)
    if operator is None:
        raise CommandError(f"no active operator {username} has this password")
    if permission and not operator_may(operator.pk, permission):
        raise CommandError(f"operator {username} may not do this: it takes {permission}")
    return Actor.operator(operator.pk)
