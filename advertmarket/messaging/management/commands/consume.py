"""Run consumer groups."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from advertmarket.messaging import consumer, runtime
from advertmarket.process import begin


class Command(BaseCommand):
    """`manage.py consume GROUP...` or `--all`: until SIGTERM."""

    help = "Run one or more consumer groups in this process."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take names of groups, or --all."""
        parser.add_argument("groups", nargs="*", metavar="GROUP")
        parser.add_argument("--all", action="store_true", help="every group there is")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the groups."""
        known = consumer.groups()
        groups = known if options["all"] else options["groups"]
        if not groups or (unknown := set(groups) - set(known)):
            problem = f"unknown: {', '.join(sorted(unknown))}" if groups else "name a group"
            raise CommandError(f"{problem}; there are: {', '.join(known)}")
        begin("consumer")
        runtime.run(groups)
