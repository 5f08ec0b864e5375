"""`python manage.py describe_money` writes docs/money.md from the code that keeps the books."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from ops.manual import PATH, document


class Command(BaseCommand):
    """Run it after a change of accounts, journals, rules or checks."""

    help = "Write docs/money.md."

    def handle(self, *args: object, **options: object) -> None:
        """Write the document."""
        PATH.write_text(document())
        self.stdout.write(f"wrote {PATH}")
