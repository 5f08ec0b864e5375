"""Is the audit log what was written?"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from advertmarket.audit import verify
from advertmarket.audit.models import AuditEntry


class Command(BaseCommand):
    """Prints a line for each place where it is not, and exits with 1 if there is any.

    The last line names the last block and its digest: who notes them elsewhere can compare.
    """

    help = "Find what was changed in, deleted from or slipped into the audit log."

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at all of it."""
        broken = False
        for found in verify.breaks():
            broken = True
            print(f"BROKEN  {found}")
        last = verify.last_seal()
        end = f"the last block is {last.number} {last.digest}" if last else "no block yet"
        print(
            f"{AuditEntry.objects.count()} entries, {verify.count_unsealed()} not sealed yet; {end}"
        )
        if broken:
            sys.exit(1)
