"""`python manage.py draw_deal_states` writes docs/deal-states.md from the table of transitions."""

from __future__ import annotations

from django.core.management.base import BaseCommand

from deals.diagram import PATH, document


class Command(BaseCommand):
    help = "Write docs/deal-states.md from deals/lifecycle.py."

    def handle(self, *args: object, **options: object) -> None:
        """Write the document."""
        PATH.write_text(document())
        self.stdout.write(f"wrote {PATH}")
