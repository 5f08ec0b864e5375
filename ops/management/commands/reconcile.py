"""Run the checks of the books now."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connection, transaction

from ops import checks


class Command(BaseCommand):
    """Prints a line per check and one per finding; exit code 1 if anything was found."""

    help = "Run every check of the books on one consistent snapshot."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run and report."""
        broken = False
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for check in checks.all_checks():
                findings = list(check.find())
                verdict = "FAIL" if findings else "pass"
                print(f"{check.number:>2}  {verdict}  {check.severity:<8}  {check.name}")
                for finding in findings:
                    print(f"      {finding.subject}: {finding.problem}")
                broken = broken or bool(findings)
        if broken:
            sys.exit(1)
