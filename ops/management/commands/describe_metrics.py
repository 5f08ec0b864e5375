"""`python manage.py describe_metrics` writes docs/metrics.md from what is registered."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from ops.metrics.manual import PATH, document


class Command(BaseCommand):
    """Run it after a change of metrics."""

    help = "Write docs/metrics.md."

    def handle(self, *args: object, **options: object) -> None:
        """Write the document."""
        PATH.write_text(document())
        self.stdout.write(f"wrote {PATH}")
