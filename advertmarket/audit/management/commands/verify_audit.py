"""Is the audit log what was written?"""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from advertmarket.audit import verify
from advertmarket.audit.models import AuditEntry
from advertmarket.audit.witness import WitnessAway


class Command(BaseCommand):
    """Prints a line for each place where it is not, and exits with 1 if there is any.

    It does so, too, if Redis is away: the end cannot be told then.
    The last line names the last block and its digest: who notes them elsewhere can compare.
    """

    help = "Find what was changed in, deleted from or slipped into the audit log."

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at all of it."""
        proved = True
        try:
            for found in verify.breaks():
                proved = False
                print(f"BROKEN  {found}")
        except WitnessAway as away:
            proved = False
            print(away)
        last = verify.last_seal()
        end = f"the last block is {last.number} {last.digest}" if last else "no block yet"
        print(
            f"{AuditEntry.objects.count()} entries, {verify.count_unsealed()} not sealed yet; {end}"
        )
        if not proved:
            sys.exit(1)
