"""What stands now: the terminal's fallback when nothing else answers."""

from __future__ import annotations

import sys
import textwrap
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone, translation

from ops.situation import Section, situation

WIDTH = 96
_NAME_WIDTH = 25


class Command(BaseCommand):
    """Needs PostgreSQL only. Exit code 0 if all is well, 1 if something needs a person."""

    help = "Say what stands now, and what needs a person."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Short, for a phone."""
        parser.add_argument("--short", action="store_true", help="a line each, without details")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look and print."""
        at = timezone.now()
        with translation.override("en"):
            sections = situation(at=at)
        waiting = sum(section.needs_person for section in sections)
        verdict = f"{waiting} need a person (!)" if waiting else "nothing needs a person"
        print(f"advertmarket {settings.TON_NETWORK}, {at:%Y-%m-%d %H:%M:%S} UTC: {verdict}")
        for section in sections:
            for line in _lines(section, short=options["short"]):
                print(line)
        if waiting:
            sys.exit(1)


def _lines(section: Section, *, short: bool) -> Iterator[str]:
    mark = "!" if section.needs_person else " "
    head = f"{mark} {section.name:<{_NAME_WIDTH}} "
    yield from _wrapped(section.says, head, " " * len(head))
    for line in () if short else section.lines:
        for number, part in enumerate(line.split("\n")):
            yield from _wrapped(part.strip(), "    " if not number else "      ", "      ")


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False
    ) or [first.rstrip()]
