"""What an operator does once on a new installation, in one process: it starts faster than five."""

from __future__ import annotations

import sys

import django
from django.core.management import call_command

from .stack import VERIFIER_CHAT_OWNER

COMMANDS = (
    ("migrate", "--verbosity=0"),
    ("create_topics",),
    ("confirm_epoch",),
    ("collectstatic", "--noinput", "--verbosity=0"),
)


def main(operator: str) -> None:
    """Install, and make an operator whose password is in OPERATOR_PASSWORD."""
    django.setup()
    people = (
        ("create_operator", operator, "--superuser"),
        ("link_operator", operator, str(VERIFIER_CHAT_OWNER), "--language=en"),
    )
    for command in (*COMMANDS, *people):
        call_command(*command)


if __name__ == "__main__":
    main(sys.argv[1])
